//! Elements of sets and maps.

use std::fmt::Write as _;

use fairway_plan::{Bytes, Element, Family, SetName, TABLE};

use super::constants::{
    NFT_MSG_DELSETELEM, NFT_MSG_GETSETELEM, NFT_MSG_NEWSETELEM, NFTA_COUNTER_PACKETS,
    NFTA_DATA_VALUE, NFTA_EXPR_DATA, NFTA_LIST_ELEM, NFTA_SET_ELEM_DATA, NFTA_SET_ELEM_EXPIRATION,
    NFTA_SET_ELEM_EXPR, NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_KEY_END, NFTA_SET_ELEM_LIST_ELEMENTS,
    NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_PAD, NFTA_SET_ELEM_TIMEOUT,
    NFTA_SET_ELEM_USERDATA, NLM_F_ACK, NLM_F_CREATE, family_number,
};
use super::reader;
use super::set::is_counter;
use super::writer::Writer;

mod network;

/// An attribute's length is a `u16`, so the list of elements in one message ends below 64 KiB, with
/// room for one more element after the check: the largest of ours has 40 + 40 bytes of content.
pub(crate) const LIST_LIMIT: usize = 64 * 1024 - 256;

/// Bytes of attribute headers around an element's key and value.
const ELEMENT_HEADERS: usize = 20;

/// Which way elements go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Add,
    Delete,
}

/// Writes one message with as many of these elements of one set as it can hold: just as many in
/// either direction, so that a replacement can delete and add the same ones.
pub(crate) fn write<'a>(
    writer: &mut Writer,
    sequence: u32,
    family: Family,
    direction: Direction,
    name: SetName,
    elements: impl Iterator<Item = &'a Element>,
) {
    let (kind, flags) = match direction {
        Direction::Add => (NFT_MSG_NEWSETELEM, NLM_F_CREATE),
        Direction::Delete => (NFT_MSG_DELSETELEM, 0),
    };
    writer.message(kind, flags, sequence, family_number(family), |writer| {
        writer.string(NFTA_SET_ELEM_LIST_TABLE, TABLE);
        writer.string(NFTA_SET_ELEM_LIST_SET, SetText::of(name).as_str());
        writer.nested(NFTA_SET_ELEM_LIST_ELEMENTS, |writer| {
            let has_networks = name.shape().has_networks();
            let mut size = 0;
            for element in elements {
                writer.nested(NFTA_LIST_ELEM, |writer| {
                    let ends = has_networks.then(|| network::first_and_last(family, &element.key));
                    match ends.flatten() {
                        Some((first, last)) => {
                            value(writer, NFTA_SET_ELEM_KEY, &first);
                            value(writer, NFTA_SET_ELEM_KEY_END, &last);
                        }
                        None => value(writer, NFTA_SET_ELEM_KEY, &element.key),
                    }
                    if direction == Direction::Add && !element.value.0.is_empty() {
                        value(writer, NFTA_SET_ELEM_DATA, &element.value);
                    }
                });
                let end = if has_networks {
                    element.key.0.len() + 8
                } else {
                    0
                };
                size += ELEMENT_HEADERS + element.key.0.len() + end + element.value.0.len();
                if size > LIST_LIMIT {
                    break;
                }
            }
        });
    });
}

fn value(writer: &mut Writer, kind: u16, bytes: &Bytes) {
    writer.nested(kind, |writer| writer.attribute(NFTA_DATA_VALUE, &bytes.0));
}

/// A set's name as text, without an allocation: there is one for every small change.
struct SetText {
    bytes: [u8; 48],
    length: usize,
}

impl SetText {
    fn of(name: SetName) -> Self {
        let mut text = Self {
            bytes: [0; 48],
            length: 0,
        };
        write!(text, "{name}").expect("nf_tables names of ours have at most 48 bytes");
        text
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("written by Display")
    }
}

impl std::fmt::Write for SetText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let target = self
            .bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?;
        target.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Key and value of a plain element, from the attributes of one list entry. None for elements that
/// fairway never makes: those with a timeout, an expression, a verdict, or for every key.
pub(crate) fn read(name: SetName, attributes: &[u8]) -> Option<Element> {
    let mut element = Element {
        set: name,
        key: Bytes::new(),
        value: Bytes::new(),
    };
    let mut has_key = false;
    let mut last = None;
    for attribute in reader::attributes(attributes) {
        let target = match attribute.kind {
            NFTA_SET_ELEM_KEY => {
                has_key = true;
                &mut element.key
            }
            NFTA_SET_ELEM_DATA => &mut element.value,
            NFTA_SET_ELEM_KEY_END => {
                last = Some(Bytes(
                    reader::find(attribute.value, NFTA_DATA_VALUE)?.into(),
                ));
                continue;
            }
            // How long it will be there, which is its own matter.
            NFTA_SET_ELEM_TIMEOUT | NFTA_SET_ELEM_EXPIRATION | NFTA_SET_ELEM_PAD
                if name.is_filled_by_packets() =>
            {
                continue;
            }
            NFTA_SET_ELEM_EXPR if name.counts() && is_counter(attribute.value) => continue,
            // The comment of an element that somebody added by hand.
            NFTA_SET_ELEM_USERDATA => continue,
            _ => return None,
        };
        target
            .0
            .extend_from_slice(reader::find(attribute.value, NFTA_DATA_VALUE)?);
    }
    match (name.shape().has_networks(), last) {
        (true, last) => {
            let last = last.unwrap_or_else(|| element.key.clone());
            element.key = network::key(element.key, &last)?;
        }
        (false, None) => {}
        (false, Some(_)) => return None,
    }
    has_key.then_some(element)
}

/// The packets that an element has counted, from the attributes of one list entry.
pub(crate) fn packets(attributes: &[u8]) -> Option<u64> {
    let expression = reader::find(attributes, NFTA_SET_ELEM_EXPR)?;
    let counter = reader::find(expression, NFTA_EXPR_DATA).filter(|_| is_counter(expression))?;
    let packets = reader::find(counter, NFTA_COUNTER_PACKETS)?;
    packets.try_into().ok().map(u64::from_be_bytes)
}

/// Asks for these elements of one set.
pub(crate) fn get<'a>(
    writer: &mut Writer,
    sequence: u32,
    family: Family,
    name: SetName,
    keys: impl Iterator<Item = &'a Bytes>,
) {
    let number = family_number(family);
    writer.message(NFT_MSG_GETSETELEM, NLM_F_ACK, sequence, number, |writer| {
        writer.string(NFTA_SET_ELEM_LIST_TABLE, TABLE);
        writer.string(NFTA_SET_ELEM_LIST_SET, SetText::of(name).as_str());
        writer.nested(NFTA_SET_ELEM_LIST_ELEMENTS, |writer| {
            for key in keys {
                writer.nested(NFTA_LIST_ELEM, |writer| {
                    value(writer, NFTA_SET_ELEM_KEY, key);
                });
            }
        });
    });
}
