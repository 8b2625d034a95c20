//! From the kernel's answers back to changes.
//!
//! The kernel runs a batch whole or not at all, but looks at every message even after one failed,
//! and reports each failing message. Inside a message of many elements it stops at the first that it
//! refuses, and says where that one starts. So after a failure the rest of such a message goes out
//! again with one element a message, and the attempt after that one knows all there is to know.

use fairway_plan::Change;

use super::{Batch, Content, Progress, Sent, Stage, complaint};
use crate::error::{Errno, Error};
use crate::wire::constants::{NETFILTER_HEADER, NFTA_SET_ELEM_LIST_ELEMENTS};
use crate::wire::element::Direction;
use crate::wire::reader::{self, Answer};

/// What a complaint about a message of elements is about.
enum Blame {
    /// The element at this position in the message.
    Element(usize),
    /// The kernel did not say.
    Unknown,
    /// Its table or set.
    Other,
}

impl Progress<'_> {
    /// Takes in the kernel's complaints about a batch that it did not execute: (message, answer), in
    /// the order of the messages. Fails if something other than elements is the matter.
    pub(crate) fn learn<'b>(
        &mut self,
        batch: &Batch,
        complaints: impl Iterator<Item = (usize, Answer<'b>)>,
    ) -> Result<(), Error> {
        let mut undeleted = false;
        for (message, answer) in complaints {
            let errno = Errno(answer.errno);
            let Some(sent) = batch.messages.get(message) else {
                return Err(Error::Protocol("it is about a message that was not sent"));
            };
            let (direction, members) = match sent.content.clone() {
                Content::Structure(index) => {
                    if complaint::is_about_absence(&self.changes[index], errno) {
                        self.stages[index] = Stage::Void;
                        continue;
                    }
                    return Err(complaint::structure(
                        self.family,
                        &self.changes[index],
                        answer,
                    ));
                }
                Content::Elements(direction, members) => (direction, &batch.members[members]),
            };
            // The kernel left a message of deletions at its first failure, so later additions may
            // have met elements that would have been gone. The next attempt tells.
            if undeleted && errno == Errno::EEXIST {
                continue;
            }
            undeleted |= direction == Direction::Delete;
            match batch.blame(sent, members.len(), answer.offset) {
                Blame::Element(position) => {
                    let index = members[position];
                    self.stages[index] = self.verdict(index, direction, errno);
                    self.set_apart(&members[position + 1..]);
                }
                Blame::Unknown => self.set_apart(members),
                Blame::Other => {
                    let change = &self.changes[members[0]];
                    return Err(complaint::structure(self.family, change, answer));
                }
            }
        }
        Ok(())
    }

    fn verdict(&self, index: usize, direction: Direction, errno: Errno) -> Stage {
        match (direction, &self.changes[index], errno) {
            (Direction::Delete, Change::Delete(_), Errno::ENOENT) => Stage::Void,
            (Direction::Delete, Change::Replace(_), Errno::ENOENT) => Stage::AddOnly,
            _ => Stage::Refused(errno),
        }
    }

    fn set_apart(&mut self, members: &[usize]) {
        for index in members {
            if self.stages[*index] == Stage::Packed {
                self.stages[*index] = Stage::Alone;
            }
        }
    }
}

impl Batch {
    /// Which of the `count` elements of a message the kernel complains about.
    fn blame(&self, sent: &Sent, count: usize, offset: Option<usize>) -> Blame {
        let Some(offset) = offset else {
            // Kernels before 5.17 do not say; a message of one element leaves no choice.
            return if count == 1 {
                Blame::Element(0)
            } else {
                Blame::Unknown
            };
        };
        let message = &self.writer.bytes()[sent.start..];
        let list = reader::messages(message).next().and_then(|message| {
            reader::attributes(message.attributes())
                .find(|attribute| attribute.kind == NFTA_SET_ELEM_LIST_ELEMENTS)
        });
        let Some(list) = list else {
            return Blame::Other;
        };
        let start = NETFILTER_HEADER + list.offset + 4;
        let Some(inside) = offset.checked_sub(start) else {
            return Blame::Other;
        };
        let position = reader::attributes(list.value)
            .take_while(|element| element.offset <= inside)
            .count();
        match position.checked_sub(1) {
            Some(position) if inside < list.value.len() && position < count => {
                Blame::Element(position)
            }
            _ => Blame::Other,
        }
    }
}
