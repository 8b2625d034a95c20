//! Reads our table back.

use std::ops::ControlFlow;

use fairway_plan::{Bytes, Element, Family, Observed, ObservedChain, ObservedSet, SetName, TABLE};

use crate::error::{Errno, Error};
use crate::socket::{Socket, refusal};
use crate::wire::constants::{
    NFPROTO_UNSPEC, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, NFT_MSG_GETSET, NFT_MSG_GETSETELEM,
    NFT_MSG_GETTABLE, NFT_MSG_NEWTABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_CHAIN,
    NFTA_RULE_TABLE, NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_TABLE,
    NFTA_SET_NAME, NFTA_SET_TABLE, NFTA_TABLE_NAME, NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE,
    NLMSG_ERROR, family_number,
};
use crate::wire::reader::{self, Message};
use crate::wire::set::Shape;
use crate::wire::writer::Writer;
use crate::wire::{chain, element, rule};

/// Attempts at a reading during which nothing changes. One takes 25 ms for 10,000 services, but 1 to
/// 2 s for 100,000: the kernel begins each piece of a set by walking over those it gave before.
pub(super) const ATTEMPTS: usize = 10;

/// The table of a family, all of it from one moment.
pub(super) fn table(socket: &mut Socket, family: Family) -> Result<Observed, Error> {
    for _ in 0..ATTEMPTS {
        let before = socket.generation()?;
        if let Some(observed) = attempt(socket, family)?
            && socket.generation()? == before
        {
            return Ok(observed);
        }
    }
    Err(Error::Unsteady(ATTEMPTS))
}

/// The elements of one set.
pub(super) fn set(
    socket: &mut Socket,
    family: Family,
    name: SetName,
) -> Result<Vec<Element>, Error> {
    for _ in 0..ATTEMPTS {
        match elements(socket, family, name)? {
            Elements::Ours(elements) => return Ok(elements),
            Elements::Foreign => return Ok(Vec::new()),
            Elements::Changed => {}
        }
    }
    Err(Error::Unsteady(ATTEMPTS))
}

/// Reads everything once; None if something changed under it.
fn attempt(socket: &mut Socket, family: Family) -> Result<Option<Observed>, Error> {
    let mut observed = Observed {
        table: exists(socket, family_number(family), TABLE)?,
        ..Observed::default()
    };
    if !observed.table {
        return Ok(Some(observed));
    }
    let Some(chains) = chains(socket, family)? else {
        return Ok(None);
    };
    observed.chains = chains;
    let Some(sets) = sets(socket, family)? else {
        return Ok(None);
    };
    for (name, ours) in sets {
        let mut set = ObservedSet {
            name,
            ours,
            elements: Vec::new(),
        };
        if let Some(ours) = ours {
            match elements(socket, family, ours)? {
                Elements::Changed => return Ok(None),
                Elements::Foreign => set.ours = None,
                Elements::Ours(elements) => set.elements = elements,
            }
        }
        observed.sets.push(set);
    }
    Ok(Some(observed))
}

/// Whether there is a table of this name, and of the family that has this number.
pub(crate) fn exists(socket: &mut Socket, family: u8, name: &str) -> Result<bool, Error> {
    let sequence = socket.reserve(0);
    let mut writer = Writer::default();
    writer.message(NFT_MSG_GETTABLE, 0, sequence, family, |writer| {
        writer.string(NFTA_TABLE_NAME, name);
    });
    socket.send(writer.bytes())?;
    let mut exists = None;
    socket.receive(|message| {
        if message.sequence != sequence {
            return Ok(ControlFlow::Continue(()));
        }
        exists = match (message.kind, message.answer()) {
            (NFT_MSG_NEWTABLE, _) => Some(true),
            (NLMSG_ERROR, Some(answer)) if Errno(answer.errno) == Errno::ENOENT => Some(false),
            (NLMSG_ERROR, Some(answer)) => return Err(refusal(Errno(answer.errno))),
            _ => return Ok(ControlFlow::Continue(())),
        };
        Ok(ControlFlow::Break(()))
    })?;
    exists.ok_or(Error::Protocol("no table and no error"))
}

fn chains(socket: &mut Socket, family: Family) -> Result<Option<Vec<ObservedChain>>, Error> {
    let mut chains = Vec::new();
    // The kernel has no way to ask for the chains of one table.
    let whole = dump(
        socket,
        NFT_MSG_GETCHAIN,
        family,
        |_| {},
        |message| {
            let attributes = message.attributes();
            if text(attributes, NFTA_CHAIN_TABLE)? == TABLE {
                chains.push(ObservedChain {
                    name: text(attributes, NFTA_CHAIN_NAME)?.to_owned(),
                    hook: chain::hook(attributes),
                    rules: Vec::new(),
                });
            }
            Ok(())
        },
    )?;
    if !whole {
        return Ok(None);
    }
    let request = |writer: &mut Writer| writer.string(NFTA_RULE_TABLE, TABLE);
    let whole = dump(socket, NFT_MSG_GETRULE, family, request, |message| {
        let attributes = message.attributes();
        let chain = text(attributes, NFTA_RULE_CHAIN)?;
        let chain = chains.iter_mut().find(|known| known.name == chain);
        if let Some(chain) = chain
            && text(attributes, NFTA_RULE_TABLE)? == TABLE
        {
            chain.rules.push(rule::fingerprint(attributes));
        }
        Ok(())
    })?;
    Ok(whole.then_some(chains))
}

/// The names of all sets, and the [`SetName`] of those that are ours in name and shape.
type Sets = Vec<(String, Option<SetName>)>;

fn sets(socket: &mut Socket, family: Family) -> Result<Option<Sets>, Error> {
    let mut sets = Vec::new();
    let request = |writer: &mut Writer| writer.string(NFTA_SET_TABLE, TABLE);
    let whole = dump(socket, NFT_MSG_GETSET, family, request, |message| {
        let attributes = message.attributes();
        if text(attributes, NFTA_SET_TABLE)? == TABLE {
            let name = text(attributes, NFTA_SET_NAME)?;
            let shape = Shape::read(attributes);
            let ours = name
                .parse()
                .ok()
                .filter(|name| shape == Some(Shape::of(*name, family)));
            sets.push((name.to_owned(), ours));
        }
        Ok(())
    })?;
    Ok(whole.then_some(sets))
}

enum Elements {
    /// In the order of their keys.
    Ours(Vec<Element>),
    /// There are some that fairway never makes.
    Foreign,
    /// They changed while they were read.
    Changed,
}

fn elements(socket: &mut Socket, family: Family, name: SetName) -> Result<Elements, Error> {
    let mut elements = Vec::new();
    let mut foreign = false;
    let request = |writer: &mut Writer| {
        writer.string(NFTA_SET_ELEM_LIST_TABLE, TABLE);
        writer.string(NFTA_SET_ELEM_LIST_SET, &name.to_string());
    };
    let whole = dump(socket, NFT_MSG_GETSETELEM, family, request, |message| {
        let list = reader::find(message.attributes(), NFTA_SET_ELEM_LIST_ELEMENTS);
        for entry in reader::attributes(list.unwrap_or_default()) {
            match element::read(name, entry.value) {
                Some(element) => elements.push(element),
                None => foreign = true,
            }
        }
        Ok(())
    })?;
    elements.sort_unstable();
    // The kernel walks a hash table piece by piece and starts each piece by counting elements. When
    // it enlarges the table between two pieces, which a large commit before may still make it do,
    // some elements come twice and as many not at all, and nothing else tells.
    let once = elements.is_sorted_by(|one, next| one.key < next.key);
    Ok(match (whole && once, foreign) {
        (false, _) => Elements::Changed,
        (true, true) => Elements::Foreign,
        (true, false) => Elements::Ours(elements),
    })
}

/// Of these keys those that are there, with their values; None where there is no table of ours.
pub(super) fn held(
    socket: &mut Socket,
    family: Family,
    keys: &[(SetName, Bytes)],
) -> Result<Option<Vec<Element>>, Error> {
    if !exists(socket, family_number(family), TABLE)? {
        return Ok(None);
    }
    let mut held = Vec::new();
    for (name, key) in keys {
        let sequence = socket.reserve(0);
        let mut writer = Writer::default();
        // The kernel ends its answer at the first key that is not there, so each is asked for by itself.
        element::get(&mut writer, sequence, family, *name, std::iter::once(key));
        socket.send(writer.bytes())?;
        let complete = socket.receive(|message| {
            if message.sequence != sequence {
                return Ok(ControlFlow::Continue(()));
            }
            if message.kind != NLMSG_ERROR {
                let list = reader::find(message.attributes(), NFTA_SET_ELEM_LIST_ELEMENTS);
                let entries = reader::attributes(list.unwrap_or_default());
                held.extend(entries.filter_map(|entry| element::read(*name, entry.value)));
                return Ok(ControlFlow::Continue(()));
            }
            match Errno(message.answer().map_or(0, |answer| answer.errno)) {
                // Either the set or the key is not there.
                Errno(0) | Errno::ENOENT => Ok(ControlFlow::Break(())),
                errno => Err(refusal(errno)),
            }
        })?;
        if !complete {
            return Err(Error::Protocol("an element without an end"));
        }
    }
    Ok(Some(held))
}

/// What the elements of a set have counted. A list that is not whole is as good: the rest comes the
/// next time.
pub(super) fn counters(
    socket: &mut Socket,
    family: Family,
    name: SetName,
) -> Result<Vec<(Bytes, u64)>, Error> {
    let mut counters = Vec::new();
    let request = |writer: &mut Writer| {
        writer.string(NFTA_SET_ELEM_LIST_TABLE, TABLE);
        writer.string(NFTA_SET_ELEM_LIST_SET, &name.to_string());
    };
    dump(socket, NFT_MSG_GETSETELEM, family, request, |message| {
        counters.extend(counters_in(name, &message));
        Ok(())
    })?;
    Ok(counters)
}

/// The same for some keys. The kernel answers with a message for each.
pub(super) fn counters_of(
    socket: &mut Socket,
    family: Family,
    name: SetName,
    keys: &[Bytes],
) -> Result<Vec<(Bytes, u64)>, Error> {
    let mut counters = Vec::with_capacity(keys.len());
    for keys in keys.chunks(KEYS_AT_ONCE) {
        let sequence = socket.reserve(0);
        let mut writer = Writer::default();
        element::get(&mut writer, sequence, family, name, keys.iter());
        socket.send(writer.bytes())?;
        let complete = socket.receive(|message| {
            if message.sequence != sequence {
                return Ok(ControlFlow::Continue(()));
            }
            if message.kind != NLMSG_ERROR {
                counters.extend(counters_in(name, &message));
                return Ok(ControlFlow::Continue(()));
            }
            match message.answer().map_or(0, |answer| answer.errno) {
                0 => Ok(ControlFlow::Break(())),
                errno => Err(refusal(Errno(errno))),
            }
        })?;
        if !complete {
            return Err(Error::Protocol("counters without an end"));
        }
    }
    Ok(counters)
}

/// Requests and answers are small beside the socket's buffers.
const KEYS_AT_ONCE: usize = 256;

fn counters_in(name: SetName, message: &Message<'_>) -> Vec<(Bytes, u64)> {
    let list = reader::find(message.attributes(), NFTA_SET_ELEM_LIST_ELEMENTS);
    let entries = reader::attributes(list.unwrap_or_default());
    entries
        .filter_map(|entry| {
            let key = element::read(name, entry.value)?.key;
            Some((key, element::packets(entry.value)?))
        })
        .collect()
}

/// Asks for a list and hands on each of its messages. Returns whether it is whole and from one moment.
pub(super) fn dump(
    socket: &mut Socket,
    kind: u16,
    family: Family,
    request: impl FnOnce(&mut Writer),
    each: impl FnMut(Message<'_>) -> Result<(), Error>,
) -> Result<bool, Error> {
    dump_family(socket, kind, family_number(family), request, each)
}

/// The same of all families at once.
pub(super) fn dump_all(
    socket: &mut Socket,
    kind: u16,
    each: impl FnMut(Message<'_>) -> Result<(), Error>,
) -> Result<bool, Error> {
    dump_family(socket, kind, NFPROTO_UNSPEC, |_| {}, each)
}

fn dump_family(
    socket: &mut Socket,
    kind: u16,
    family: u8,
    request: impl FnOnce(&mut Writer),
    mut each: impl FnMut(Message<'_>) -> Result<(), Error>,
) -> Result<bool, Error> {
    let sequence = socket.reserve(0);
    let mut writer = Writer::default();
    writer.message(kind, NLM_F_DUMP, sequence, family, request);
    socket.send(writer.bytes())?;
    let mut whole = true;
    let complete = socket.receive(|message| {
        if message.sequence != sequence {
            return Ok(ControlFlow::Continue(()));
        }
        whole &= message.flags & NLM_F_DUMP_INTR == 0;
        let errno = match message.kind {
            NLMSG_DONE => message.done(),
            NLMSG_ERROR => message.answer().map_or(0, |answer| answer.errno),
            _ => {
                each(message)?;
                return Ok(ControlFlow::Continue(()));
            }
        };
        match Errno(errno) {
            Errno(0) => {}
            // What was listed is gone, or the kernel wants to start again.
            Errno::ENOENT | Errno::EINTR | Errno::EAGAIN => whole = false,
            errno => return Err(refusal(errno)),
        }
        Ok(ControlFlow::Break(()))
    })?;
    if complete {
        Ok(whole)
    } else {
        Err(Error::Protocol("a list without an end"))
    }
}

pub(super) fn text(attributes: &[u8], kind: u16) -> Result<&str, Error> {
    reader::find(attributes, kind)
        .and_then(reader::text)
        .ok_or(Error::Protocol("a nameless object"))
}
