//! Who has been idle for how long: a queue that is entered and left in constant time.

/// No place.
const NONE: u32 = u32::MAX;

/// Places in the order in which they became idle. Places are small numbers that are used again.
#[derive(Debug)]
pub(super) struct IdleQueue {
    /// By place; those that are not in the queue lead to themselves.
    links: Vec<Link>,
    oldest: u32,
    newest: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    older: u32,
    newer: u32,
    queued: bool,
}

const APART: Link = Link {
    older: NONE,
    newer: NONE,
    queued: false,
};

impl Default for IdleQueue {
    fn default() -> Self {
        Self {
            links: Vec::new(),
            oldest: NONE,
            newest: NONE,
        }
    }
}

impl IdleQueue {
    /// Enters at the end, unless it is in the queue.
    pub(super) fn enter(&mut self, place: usize) {
        if place >= self.links.len() {
            self.links.resize(place + 1, APART);
        }
        if self.links[place].queued {
            return;
        }
        let id = u32::try_from(place).expect("there are fewer connections than 2^32");
        let newest = std::mem::replace(&mut self.newest, id);
        self.links[place] = Link {
            older: newest,
            newer: NONE,
            queued: true,
        };
        match self.links.get_mut(newest as usize) {
            Some(link) => link.newer = id,
            None => self.oldest = id,
        }
    }

    /// Leaves, wherever it is in the queue.
    pub(super) fn leave(&mut self, place: usize) {
        let Some(link) = self.links.get_mut(place).filter(|link| link.queued) else {
            return;
        };
        let Link { older, newer, .. } = std::mem::replace(link, APART);
        match self.links.get_mut(older as usize) {
            Some(link) => link.newer = newer,
            None => self.oldest = newer,
        }
        match self.links.get_mut(newer as usize) {
            Some(link) => link.older = older,
            None => self.newest = older,
        }
    }

    /// Takes out the one that has been idle for longest.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let oldest = (self.oldest != NONE).then_some(self.oldest as usize)?;
        self.leave(oldest);
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As a plain queue that is searched.
        #[test]
        fn order_is_kept(steps in proptest::collection::vec((0_u8..3, 0_usize..8), 0..100)) {
            let mut queue = IdleQueue::default();
            let mut plain = VecDeque::new();
            for (step, place) in steps {
                match step {
                    0 => {
                        queue.enter(place);
                        if !plain.contains(&place) {
                            plain.push_back(place);
                        }
                    }
                    1 => {
                        queue.leave(place);
                        plain.retain(|other| *other != place);
                    }
                    _ => prop_assert_eq!(queue.pop(), plain.pop_front()),
                }
            }
            while let Some(oldest) = plain.pop_front() {
                prop_assert_eq!(queue.pop(), Some(oldest));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }
}
