//! A piece of work that is counted.

/// Prepared without being counted, then done several times.
pub(crate) struct Work {
    /// Of its line in the baseline.
    pub(crate) name: &'static str,
    /// How often [`counted`] does it: hash maps with random seeds are not the same every time, so one
    /// time would say little.
    pub(crate) times: u64,
    /// Prepares it and calls [`counted`] once.
    pub(crate) run: fn(times: u64),
}

impl Work {
    pub(crate) fn run(&self) {
        (self.run)(self.times);
    }
}

/// What happens in here is counted.
pub(crate) fn counted(mut work: impl FnMut()) {
    counted_by_callgrind(&mut work);
}

/// Callgrind is told this name. Not generic, so that there is one of it.
#[inline(never)]
fn counted_by_callgrind(work: &mut dyn FnMut()) {
    work();
}
