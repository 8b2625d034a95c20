use std::collections::HashSet;
use std::sync::Arc;

/// Texts that many objects repeat (namespaces, nodes, zones, port names) are kept once.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: HashSet<Arc<str>>,
    /// Number of texts at which the next sweep is due.
    sweep_at: usize,
}

/// A sweep below this many texts is not worth its time.
const SWEEP: usize = 1024;

impl Interner {
    /// The shared copy of a text.
    pub(crate) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(shared) = self.texts.get(text) {
            return shared.clone();
        }
        // Doubling keeps a sweep's cost at a few steps per new text.
        if self.texts.len() >= self.sweep_at.max(SWEEP) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.sweep_at = 2 * self.texts.len();
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(shared.clone());
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_forgets() {
        let mut names = Interner::default();
        let first = names.get("node-1");
        assert!(Arc::ptr_eq(&first, &names.get("node-1")));
        for number in 0..100_000 {
            names.get(&format!("pod-{number}"));
        }
        assert!(names.texts.len() <= SWEEP, "{}", names.texts.len());
        assert!(Arc::ptr_eq(&first, &names.get("node-1")));
    }
}
