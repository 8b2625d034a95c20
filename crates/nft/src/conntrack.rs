//! The flows that the kernel's connection tracking remembers.
//!
//! The table may have millions of entries, so it is never held here: the kernel filters, hands over some
//! hundred flows at a time, and what is to go is deleted before the next ones are asked for.

use std::ops::ControlFlow;

use fairway_plan::{Family, Flow, FlowFilter};

use crate::error::{Errno, Error};
use crate::socket::Socket;
use crate::wire::constants::{NLMSG_DONE, NLMSG_ERROR};
use crate::wire::writer::Writer;

mod local;
mod message;

pub use local::LocalAddresses;
use message::Found;

/// Deletions to send at once. What the kernel lists in one piece, 32 KiB, is some 150 flows.
const AT_ONCE: usize = 128;

/// Connection tracking of the network namespace in which it was opened.
///
/// Calls take as long as the kernel needs to go over its whole table: not for a thread that has anything
/// else to do.
pub struct Conntrack {
    lists: Socket,
    deletions: Socket,
}

/// What became of a look at the flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Flows that the kernel handed over.
    pub seen: u64,
    /// Flows that were deleted; not counted are those that had ended meanwhile.
    pub deleted: u64,
}

impl Conntrack {
    /// Opens the sockets. Whether the kernel has connection tracking shows at the first use.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            lists: Socket::open()?,
            deletions: Socket::open()?,
        })
    }

    /// Deletes the flows that are stale. Flows that come or go meanwhile may be missed.
    ///
    /// Each is judged after it was read, and it is that very flow that goes, not a later one of the same
    /// addresses and ports. After an error the sockets are of no use any more.
    pub fn sweep(
        &mut self,
        family: Family,
        filter: FlowFilter,
        mut is_stale: impl FnMut(&Flow) -> bool,
    ) -> Result<Sweep, Error> {
        let mut sweep = Sweep::default();
        let mut stale = Batch::default();
        let deletions = &mut self.deletions;
        list(&mut self.lists, family, filter, |found| {
            sweep.seen += 1;
            // Kernels before 5.8 know nothing of the filter.
            if message::passes(filter, &found.flow) && is_stale(&found.flow) {
                stale.add(family, found, deletions);
            }
            if stale.requests == AT_ONCE {
                sweep.deleted += stale.send(deletions)?;
            }
            Ok(())
        })?;
        sweep.deleted += stale.send(deletions)?;
        Ok(sweep)
    }
}

/// Hands on every flow that the kernel lets pass the filter.
fn list(
    socket: &mut Socket,
    family: Family,
    filter: FlowFilter,
    mut each: impl FnMut(&Found<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let sequence = socket.reserve(0);
    let mut writer = Writer::default();
    message::list(&mut writer, sequence, family, filter);
    socket.send(writer.bytes())?;
    let complete = socket.receive(|message| {
        if message.sequence != sequence {
            return Ok(ControlFlow::Continue(()));
        }
        let errno = match message.kind {
            NLMSG_DONE => message.done(),
            NLMSG_ERROR => message.answer().map_or(0, |answer| answer.errno),
            _ => {
                if let Some(found) = Found::parse(message.attributes()) {
                    each(&found)?;
                }
                return Ok(ControlFlow::Continue(()));
            }
        };
        match Errno(errno) {
            Errno(0) => Ok(ControlFlow::Break(())),
            errno => Err(refusal(errno)),
        }
    })?;
    match complete {
        true => Ok(()),
        false => Err(Error::Protocol("a list without an end")),
    }
}

/// Deletions that go to the kernel together.
#[derive(Default)]
struct Batch {
    writer: Writer,
    first: u32,
    requests: usize,
}

impl Batch {
    fn add(&mut self, family: Family, found: &Found<'_>, socket: &mut Socket) {
        let sequence = socket.reserve(0);
        if self.requests == 0 {
            self.first = sequence;
        }
        self.requests += 1;
        message::delete(&mut self.writer, sequence, family, found);
    }

    /// Returns how many flows were deleted.
    fn send(&mut self, socket: &mut Socket) -> Result<u64, Error> {
        if self.requests == 0 {
            return Ok(0);
        }
        socket.send(self.writer.bytes())?;
        let mut deleted = self.requests as u64;
        let (first, requests) = (self.first, self.requests);
        // Only failures are answered.
        socket.receive(|message| {
            let position = message.sequence.wrapping_sub(first) as usize;
            if message.kind != NLMSG_ERROR || position >= requests {
                return Ok(ControlFlow::Continue(()));
            }
            match message.answer().map(|answer| Errno(answer.errno)) {
                Some(Errno(0)) => {}
                // It ended by itself; EBUSY: it is about to.
                Some(Errno::ENOENT | Errno::EBUSY) => deleted -= 1,
                Some(errno) => return Err(refusal(errno)),
                None => return Err(Error::Protocol("an error without a number")),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.writer.truncate(0);
        self.requests = 0;
        Ok(deleted)
    }
}

fn refusal(errno: Errno) -> Error {
    match errno {
        Errno::EPERM => Error::ConntrackDenied,
        // nfnetlink knows no such subsystem, and loading it on demand failed.
        Errno::EINVAL | Errno::EOPNOTSUPP => Error::NoConntrack,
        errno => Error::Socket("request", errno.into()),
    }
}
