//! Deadlines without a timer each.
//!
//! A proxied request passes half a dozen phases with a limit of their own. A runtime timer per phase
//! costs more than parsing the request, and nearly all are cancelled. Here a deadline is a slot in a
//! table that the worker sweeps four times a second: setting one is a store.

mod idle;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use self::idle::IdleQueue;
use crate::clock::{Clock, Tick};

/// How often a worker sweeps: the precision of all its limits.
pub(crate) const SWEEP: Duration = Duration::from_millis(250);

/// The deadlines of a worker.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    table: RefCell<Table>,
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<usize>,
    idle: IdleQueue,
}

#[derive(Debug)]
struct Slot {
    at: Tick,
    waker: Option<Waker>,
    /// Its owner is to make room.
    shed: bool,
}

impl Deadlines {
    /// A new deadline, not armed.
    pub(crate) fn open(self: &Rc<Self>) -> Deadline {
        let mut table = self.table.borrow_mut();
        let slot = Slot {
            at: Tick::NEVER,
            waker: None,
            shed: false,
        };
        let index = match table.free.pop() {
            Some(index) => {
                table.slots[index] = slot;
                index
            }
            None => {
                table.slots.push(slot);
                table.slots.len() - 1
            }
        };
        Deadline {
            deadlines: self.clone(),
            index,
        }
    }

    /// Wakes and disarms what is due.
    pub(crate) fn sweep(&self, now: Tick) {
        for slot in &mut self.table.borrow_mut().slots {
            if slot.at <= now {
                slot.at = Tick::NEVER;
                if let Some(waker) = &slot.waker {
                    waker.wake_by_ref();
                }
            }
        }
    }

    /// Wakes every owner, for example because a drain begins.
    pub(crate) fn wake_all(&self) {
        for waker in self
            .table
            .borrow()
            .slots
            .iter()
            .filter_map(|slot| slot.waker.as_ref())
        {
            waker.wake_by_ref();
        }
    }

    /// Asks those that have been idle for longest to make room; returns how many there were.
    pub(crate) fn shed(&self, count: usize) -> usize {
        let mut table = self.table.borrow_mut();
        for shed in 0..count {
            let Some(index) = table.idle.pop() else {
                return shed;
            };
            let slot = &mut table.slots[index];
            slot.shed = true;
            if let Some(waker) = &slot.waker {
                waker.wake_by_ref();
            }
        }
        count
    }

    /// Whether nobody holds a deadline.
    pub(crate) fn is_empty(&self) -> bool {
        let table = self.table.borrow();
        table.slots.len() == table.free.len()
    }
}

/// One deadline; its owner is woken at or shortly after the time, and has to look what is overdue.
#[derive(Debug)]
pub(crate) struct Deadline {
    deadlines: Rc<Deadlines>,
    index: usize,
}

impl Deadline {
    /// Fires at `at` or earlier. Early is harmless: whoever is woken computes what is due anew.
    pub(crate) fn arm(&self, at: Tick) {
        let slot = &mut self.deadlines.table.borrow_mut().slots[self.index];
        slot.at = slot.at.min(at);
    }

    /// Its owner has nothing to do, and may be asked to make room; or has again.
    pub(crate) fn idle(&self, idle: bool) {
        let mut table = self.deadlines.table.borrow_mut();
        table.slots[self.index].shed = false;
        match idle {
            true => table.idle.enter(self.index),
            false => table.idle.leave(self.index),
        }
    }

    /// Whether its owner was idle and is to make room.
    pub(crate) fn is_shed(&self) -> bool {
        self.deadlines.table.borrow().slots[self.index].shed
    }

    /// Names the task to wake.
    pub(crate) fn register(&self, context: &Context<'_>) {
        let slot = &mut self.deadlines.table.borrow_mut().slots[self.index];
        match &slot.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => slot.waker = Some(context.waker().clone()),
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut table = self.deadlines.table.borrow_mut();
        let slot = &mut table.slots[self.index];
        slot.at = Tick::NEVER;
        slot.waker = None;
        slot.shed = false;
        table.idle.leave(self.index);
        table.free.push(self.index);
    }
}

/// Runs `future` for as long as `limit`; None when that was not enough.
pub(crate) async fn within<F: Future>(
    deadline: &Deadline,
    clock: &Clock,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let end = clock.now().after(limit);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if clock.now() >= end {
            return Poll::Ready(None);
        }
        deadline.register(context);
        deadline.arm(end);
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::clock::Clock;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn fires_once_at_the_earliest_time_asked_for() {
        let deadlines = Rc::new(Deadlines::default());
        let start = Clock::new().now();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let deadline = deadlines.open();
        deadline.register(&Context::from_waker(&waker));
        deadline.arm(start.after(Duration::from_secs(60)));
        deadline.arm(start.after(Duration::from_secs(5)));
        deadline.arm(start.after(Duration::from_secs(60)));

        deadlines.sweep(start.after(Duration::from_secs(4)));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        deadlines.sweep(start.after(Duration::from_secs(5)));
        deadlines.sweep(start.after(Duration::from_secs(90)));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn slots_are_reused_and_forget_their_owner() {
        let deadlines = Rc::new(Deadlines::default());
        let start = Clock::new().now();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let first = deadlines.open();
        first.register(&Context::from_waker(&waker));
        first.arm(start);
        drop(first);
        assert!(deadlines.is_empty());
        let _second = deadlines.open();
        assert_eq!(deadlines.table.borrow().slots.len(), 1);
        deadlines.sweep(Tick::NEVER);
        deadlines.wake_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }
}
