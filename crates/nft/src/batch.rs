//! From changes to batches of messages: packing, order, and what may be cut where.

use std::ops::Range;

use fairway_plan::{Change, Element, Family, SetName};

use crate::error::{Errno, Error};
use crate::wire::constants::{NETFILTER_HEADER, NLM_F_ACK};
use crate::wire::element::Direction;
use crate::wire::statement::ForeignNetwork;
use crate::wire::writer::Writer;
use crate::wire::{chain, element, rule, set};

mod complaint;
mod learn;
#[cfg(test)]
mod tests;

/// Changes on their way to the kernel, and how far each of them is.
pub(crate) struct Progress<'a> {
    family: Family,
    changes: &'a [Change],
    stages: Vec<Stage>,
    /// A batch ends where the next elements begin and it has so many bytes.
    piece: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be done, packed with its neighbours.
    Packed,
    /// To be done in a message of its own.
    Alone,
    /// A replacement whose key turned out not to be there.
    AddOnly,
    /// Nothing left to do: what was to be removed is not there.
    Void,
    /// The kernel does not take the element.
    Refused(Errno),
}

/// What a change asks for at its present stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Structure,
    Add(SetName),
    Delete(SetName),
    Replace(SetName),
}

/// Messages that the kernel executes together.
pub(crate) struct Batch {
    writer: Writer,
    /// Sequence number of the batch's opening; message `i` has this plus 1 plus `i`.
    sequence: u32,
    messages: Vec<Sent>,
    /// The changes whose elements the messages carry, in their order.
    members: Vec<usize>,
    /// The changes that the batch covers.
    covers: Range<usize>,
}

struct Sent {
    /// Where the message starts in the buffer.
    start: usize,
    content: Content,
}

#[derive(Clone)]
enum Content {
    /// Part of this change.
    Structure(usize),
    /// Elements of the changes in this range of `members`.
    Elements(Direction, Range<usize>),
}

/// One full message: a thousand elements and more. The kernel moves a set to a larger hash table in a task of its own,
/// which waits while a batch goes on; until then it looks for each element that comes in all the tables that wait to
/// be moved (docs/decisions/0025).
const PIECE: usize = element::LIST_LIMIT;

impl<'a> Progress<'a> {
    pub(crate) fn new(family: Family, changes: &'a [Change]) -> Self {
        let stages = vec![Stage::Packed; changes.len()];
        Self {
            family,
            changes,
            stages,
            piece: usize::MAX,
        }
    }

    /// Lets elements come in several batches if no packet can tell: those of a new table, whose chains are the last to
    /// come, and come with their rules.
    pub(crate) fn in_pieces(self) -> Self {
        let piece = match self.changes {
            [Change::CreateTable, ..] => PIECE,
            _ => usize::MAX,
        };
        Self { piece, ..self }
    }

    /// Puts changes from `start` on into a batch, as many as `limit` bytes take.
    pub(crate) fn batch(&self, start: usize, sequence: u32, limit: usize) -> Result<Batch, Error> {
        let mut batch = Batch {
            writer: Writer::default(),
            sequence,
            messages: Vec::new(),
            members: Vec::new(),
            covers: start..start,
        };
        batch.writer.batch_begin(sequence);
        while batch.covers.end < self.changes.len() {
            let before = (
                batch.writer.len(),
                batch.messages.len(),
                batch.members.len(),
            );
            let at = batch.covers.end;
            if batch.writer.len() >= self.piece && matches!(self.step(at), Step::Add(_)) {
                break;
            }
            let next = self.append(&mut batch, at)?;
            let size = batch.writer.len() + NETFILTER_HEADER;
            if size > limit {
                if before.1 == 0 {
                    return Err(Error::TooLarge { size, limit });
                }
                batch.writer.truncate(before.0);
                batch.messages.truncate(before.1);
                batch.members.truncate(before.2);
                break;
            }
            batch.covers.end = next;
        }
        // The kernel answers to failures anyway. The one success to hear of is the last, because
        // older kernels do not answer to the end of a batch.
        if let Some(last) = batch.messages.last() {
            batch.writer.add_flags(last.start, NLM_F_ACK);
        }
        let end = batch.next_sequence();
        batch.writer.batch_end(end);
        Ok(batch)
    }

    /// Appends the next change, and with an element those after it that go into the same message.
    /// Returns what comes next. A batch may end here: what must not be torn apart is not.
    fn append(&self, batch: &mut Batch, at: usize) -> Result<usize, Error> {
        let step = self.step(at);
        let (set, directions): (_, &[Direction]) = match step {
            Step::Nothing => return Ok(at + 1),
            Step::Structure => {
                self.structure(batch, at)?;
                return Ok(at + 1);
            }
            Step::Add(set) => (set, &[Direction::Add]),
            Step::Delete(set) => (set, &[Direction::Delete]),
            Step::Replace(set) => (set, &[Direction::Delete, Direction::Add]),
        };
        let mut next = at + 1;
        for direction in directions {
            let sequence = batch.message(Content::Elements(*direction, 0..0));
            let first = batch.members.len();
            let run = self
                .run(at, step)
                .inspect(|(index, _)| batch.members.push(*index));
            let elements = run.map(|(_, element)| element);
            element::write(
                &mut batch.writer,
                sequence,
                self.family,
                *direction,
                set,
                elements,
            );
            let members = first..batch.members.len();
            next = batch.members.last().map_or(next, |last| last + 1);
            if let Some(sent) = batch.messages.last_mut() {
                sent.content = Content::Elements(*direction, members);
            }
        }
        Ok(next)
    }

    /// The changes from `at` on that may share a message: the same step on the same set.
    fn run(&self, at: usize, step: Step) -> impl Iterator<Item = (usize, &'a Element)> {
        let length = match self.stages[at] {
            Stage::Packed => self.changes.len() - at,
            _ => 1,
        };
        self.changes[at..at + length]
            .iter()
            .zip(at..)
            .filter(|(_, index)| self.step(*index) != Step::Nothing)
            .take_while(move |(_, index)| {
                let packed = *index == at || self.stages[*index] == Stage::Packed;
                packed && self.step(*index) == step
            })
            .filter_map(|(change, index)| Some((index, element(change)?)))
    }

    fn step(&self, index: usize) -> Step {
        match (self.stages[index], &self.changes[index]) {
            (Stage::Void | Stage::Refused(_), _) => Step::Nothing,
            (_, Change::Add(element)) => Step::Add(element.set),
            (_, Change::Delete(element)) => Step::Delete(element.set),
            (Stage::AddOnly, Change::Replace(element)) => Step::Add(element.set),
            (_, Change::Replace(element)) => Step::Replace(element.set),
            _ => Step::Structure,
        }
    }

    fn structure(&self, batch: &mut Batch, index: usize) -> Result<(), Error> {
        let family = self.family;
        let sequence = batch.message(Content::Structure(index));
        let id = sequence;
        let writer = &mut batch.writer;
        match &self.changes[index] {
            Change::CreateTable => chain::create_table(writer, sequence, family),
            Change::DestroyTable => chain::delete_table(writer, sequence, family),
            Change::CreateSet(name) => set::create(writer, sequence, family, *name, id),
            Change::DestroySet(name) => set::delete(writer, sequence, family, name),
            Change::CreateChain { name, hook } => {
                chain::create(writer, sequence, family, name, *hook);
            }
            Change::DestroyChain(name) => chain::delete(writer, sequence, family, name),
            Change::ClearRules(name) => rule::clear(writer, sequence, family, name),
            Change::SetRules(chain) => {
                rule::clear(writer, sequence, family, chain.name);
                for rule in &chain.rules {
                    let sequence = batch.message(Content::Structure(index));
                    rule::append(&mut batch.writer, sequence, family, chain.name, rule).map_err(
                        |ForeignNetwork(network)| Error::ForeignNetwork {
                            chain: chain.name,
                            network,
                        },
                    )?;
                }
            }
            Change::Add(_) | Change::Replace(_) | Change::Delete(_) => {}
        }
        Ok(())
    }

    /// How many of these changes the kernel took.
    pub(crate) fn taken(&self, covers: Range<usize>) -> usize {
        self.stages[covers]
            .iter()
            .filter(|stage| !matches!(stage, Stage::Void | Stage::Refused(_)))
            .count()
    }

    /// The elements that the kernel refused.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&'a Element, Errno)> {
        self.stages
            .iter()
            .zip(self.changes)
            .filter_map(|(stage, change)| match stage {
                Stage::Refused(errno) => Some((element(change)?, *errno)),
                _ => None,
            })
    }
}

fn element(change: &Change) -> Option<&Element> {
    match change {
        Change::Add(element) | Change::Replace(element) | Change::Delete(element) => Some(element),
        _ => None,
    }
}

impl Batch {
    /// For the kernel to check and not to carry out.
    pub(crate) fn without_end(mut self) -> Self {
        let end = self.writer.len() - NETFILTER_HEADER;
        self.writer.truncate(end);
        self
    }

    /// What to send.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// The changes that are done once the kernel has taken the batch.
    pub(crate) fn covers(&self) -> Range<usize> {
        self.covers.clone()
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Number of messages between the batch's edges.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The first sequence number after the messages.
    pub(crate) fn next_sequence(&self) -> u32 {
        let count = u32::try_from(self.messages.len()).expect("bounded by the size of a batch");
        self.sequence.wrapping_add(1).wrapping_add(count)
    }

    /// Whether an answer of this number is to this batch, and to which of its messages; None stands
    /// for the batch's opening.
    #[expect(clippy::option_option, reason = "two questions")]
    pub(crate) fn position(&self, sequence: u32) -> Option<Option<usize>> {
        let distance = sequence.wrapping_sub(self.sequence) as usize;
        (distance <= self.messages.len()).then(|| distance.checked_sub(1))
    }

    /// Registers the message that is written next and returns its sequence number.
    fn message(&mut self, content: Content) -> u32 {
        let sequence = self.next_sequence();
        let start = self.writer.len();
        self.messages.push(Sent { start, content });
        sequence
    }
}
