//! The kernel.

use std::ops::ControlFlow;
use std::sync::Weak;

use fairway_plan::{Bytes, Change, Element, Family, Observed, SetName, Transaction};

use crate::batch::{Batch, Progress};
use crate::error::{Errno, Error};
use crate::monitor::Listener;
use crate::socket::{self, Socket};
use crate::wire::constants::NLMSG_ERROR;
use crate::wire::reader::Answer;
use crate::{Dataplane, Refused, Report};

mod chains;
mod leftovers;
pub(crate) mod read;
mod rehearse;

pub use chains::ForeignChain;
pub use leftovers::KubeProxy;

/// Attempts at one batch. Two are enough when the kernel says which elements it refuses, three when
/// it says only that it does; more only where its answers overflow the receive buffer, each attempt
/// then sorts out some thousands.
const ATTEMPTS: usize = 32;

/// From so many changes on the monitor does not listen to a commit of ours. The kernel writes a
/// notification for each element, which makes a large commit take twice as long (10,000 services:
/// 0.22 s for 0.11 s), and tens of thousands of them overflow the monitor's buffer. Below, the two
/// questions for the generation are not worth it.
const QUIET_FROM: usize = 1_000;

/// nf_tables of the network namespace in which it was opened.
///
/// Every call comes back as soon as the kernel has done what it was asked; none waits for anything.
pub struct Netlink {
    socket: Socket,
    listener: Weak<Listener>,
    /// Batches that the kernel has taken since the socket was opened.
    batches: u32,
}

impl Netlink {
    /// Opens a socket and makes sure that nf_tables is there and may be used.
    pub fn open() -> Result<Self, Error> {
        let mut socket = Socket::open()?;
        socket.generation()?;
        Ok(Self {
            socket,
            listener: Weak::new(),
            batches: 0,
        })
    }

    /// The number that the kernel knows the socket by; it stands in the notifications of every
    /// change made through it.
    pub fn port_id(&self) -> u32 {
        self.socket.port_id()
    }

    /// How many changes nf_tables has seen in this network namespace: each commit counts one, ours and
    /// everybody's.
    pub fn generation(&mut self) -> Result<u32, Error> {
        self.socket.generation()
    }

    /// Of these keys of our table those that are there, with their values; None where there is no table.
    /// Not all from one moment.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell.
    pub fn held(
        &mut self,
        family: Family,
        keys: &[(SetName, Bytes)],
    ) -> Result<Option<Vec<Element>>, Error> {
        read::held(&mut self.socket, family, keys)
    }

    /// Lets large commits keep out of the listener's ears.
    pub(crate) fn attach(&mut self, listener: Weak<Listener>) {
        self.listener = listener;
    }

    /// One of the two parts of a transaction.
    fn run(
        &mut self,
        family: Family,
        changes: &[Change],
        report: &mut Report,
    ) -> Result<(), Error> {
        let mut progress = Progress::new(family, changes).in_pieces();
        let mut start = 0;
        let mut attempts = 0;
        while start < changes.len() {
            let sequence = self.socket.reserve(0);
            let batch = progress.batch(start, sequence, self.socket.send_limit())?;
            let count = u32::try_from(batch.len()).expect("bounded by the size of a batch");
            self.socket.reserve(count);
            let complaints = self.send(&batch)?;
            if complaints.is_empty() {
                report.writes += progress.taken(batch.covers());
                start = batch.covers().end;
                attempts = 0;
                continue;
            }
            attempts += 1;
            tracing::debug!(
                %family,
                attempts,
                complaints = complaints.len(),
                "the kernel refused a batch"
            );
            if attempts == ATTEMPTS {
                return Err(Error::TooManyRefusals(attempts));
            }
            progress.learn(&batch, answers(&complaints))?;
        }
        report.refused.extend(refused(&progress));
        Ok(())
    }

    /// Sends a batch. Returns what the kernel complains about: nothing means that it is done.
    fn send(&mut self, batch: &Batch) -> Result<Vec<(usize, Complaint)>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.socket.send(batch.bytes())?;
        let mut complaints = Vec::new();
        let done = self.socket.receive(|message| {
            // Answers that nobody waited for have other numbers.
            let Some(position) = batch.position(message.sequence) else {
                return Ok(ControlFlow::Continue(()));
            };
            if message.kind != NLMSG_ERROR {
                return Ok(ControlFlow::Continue(()));
            }
            let Some(answer) = message.answer() else {
                return Err(Error::Protocol("an error without a number"));
            };
            match (answer.errno, position) {
                // Only the last message asks for an answer to success, and it is the last answer.
                (0, _) if complaints.is_empty() => return Ok(ControlFlow::Break(())),
                (0, _) => {}
                (errno, None) => return Err(socket::refusal(Errno(errno))),
                (errno, Some(position)) => complaints.push((
                    position,
                    Complaint {
                        errno: Errno(errno),
                        offset: answer.offset,
                        text: answer.text.map(str::to_owned),
                    },
                )),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if !done && complaints.is_empty() {
            return Err(Error::Protocol("none came"));
        }
        if done {
            self.batches = self.batches.wrapping_add(1);
        }
        Ok(complaints)
    }

    /// Runs `work` while the monitor does not hear of our changes, and wakes it if others made some
    /// meanwhile: each change of nf_tables counts the generation up by one, so there must be as many
    /// as batches of ours. What others change at the edges may be both heard and counted, never neither.
    ///
    /// A batch that changes nothing does not count, so one that only adds what is there is reported,
    /// needlessly. It would hide somebody's change if just one fell into the same few milliseconds.
    fn quietly<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R, Error>) -> Result<R, Error> {
        let Some(listener) = self.listener.upgrade() else {
            return work(self);
        };
        let (before, batches) = (self.socket.generation()?, self.batches);
        let _ = listener.leave();
        let result = work(self);
        // A listener that cannot hear any more must say so: it reports a change from now on.
        let heard = listener.join();
        let after = self.socket.generation();
        let ours = self.batches.wrapping_sub(batches);
        let undisturbed = after.is_ok_and(|after| after.wrapping_sub(before) == ours);
        if heard.is_err() || !undisturbed {
            listener.wake();
        }
        heard?;
        result
    }
}

/// What the kernel says against a message.
struct Complaint {
    errno: Errno,
    offset: Option<usize>,
    text: Option<String>,
}

fn answers(complaints: &[(usize, Complaint)]) -> impl Iterator<Item = (usize, Answer<'_>)> {
    complaints.iter().map(|(message, complaint)| {
        let Complaint {
            errno,
            offset,
            text,
        } = complaint;
        let (errno, offset, text) = (errno.0, *offset, text.as_deref());
        (
            *message,
            Answer {
                errno,
                offset,
                text,
            },
        )
    })
}

fn refused(progress: &Progress<'_>) -> Vec<Refused> {
    let refused = progress.refused().map(|(element, errno)| Refused {
        element: element.clone(),
        errno,
    });
    refused.collect()
}

impl Dataplane for Netlink {
    fn read(&mut self, family: Family) -> Result<Observed, Error> {
        read::table(&mut self.socket, family)
    }

    fn elements(&mut self, family: Family, set: SetName) -> Result<Vec<Element>, Error> {
        read::set(&mut self.socket, family, set)
    }

    fn counters(&mut self, family: Family, set: SetName) -> Result<Vec<(Bytes, u64)>, Error> {
        read::counters(&mut self.socket, family, set)
    }

    fn counters_of(
        &mut self,
        family: Family,
        set: SetName,
        keys: &[Bytes],
    ) -> Result<Vec<(Bytes, u64)>, Error> {
        read::counters_of(&mut self.socket, family, set, keys)
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<Report, Error> {
        let commit = |netlink: &mut Self| {
            let mut report = Report::default();
            let (family, make, release) =
                (transaction.family, &transaction.make, &transaction.release);
            netlink.run(family, make, &mut report)?;
            let released = netlink.run(family, release, &mut report);
            released.map_err(|error| Error::Cleanup(error.into()))?;
            Ok(report)
        };
        if transaction.make.len() + transaction.release.len() < QUIET_FROM {
            commit(self)
        } else {
            self.quietly(commit)
        }
    }
}
