//! Takes apart what the kernel sends. Lenient: what does not add up ends the iteration, nothing panics.

use super::constants::{
    HEADER, NETFILTER_HEADER, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS,
};

/// Removes the bits that say "nested" and "big-endian" from an attribute's type.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// A netlink message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// The socket that caused the message.
    pub(crate) port_id: u32,
    /// The whole message with its header.
    bytes: &'a [u8],
}

/// An attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    /// Bytes from the start of what was iterated over to the attribute's header.
    pub(crate) offset: usize,
    pub(crate) value: &'a [u8],
}

/// What the kernel says to a request, from an `NLMSG_ERROR` message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// 0 for "done".
    pub(crate) errno: i32,
    /// Where in the request the offending attribute starts, counted from the request's header.
    pub(crate) offset: Option<usize>,
    /// The kernel's own words.
    pub(crate) text: Option<&'a str>,
}

/// The messages of a datagram.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32_ne(datagram, 0)? as usize;
        if length < HEADER || length > datagram.len() {
            return None;
        }
        let message = Message {
            kind: u16_ne(datagram, 4)?,
            flags: u16_ne(datagram, 6)?,
            sequence: u32_ne(datagram, 8)?,
            port_id: u32_ne(datagram, 12)?,
            bytes: &datagram[..length],
        };
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
        Some(message)
    })
}

/// The attributes in a buffer.
pub(crate) fn attributes(buffer: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let length = usize::from(u16_ne(buffer, offset)?);
        let kind = u16_ne(buffer, offset + 2)?;
        if length < 4 {
            return None;
        }
        let value = buffer.get(offset + 4..offset + length)?;
        let attribute = Attribute {
            kind: kind & NLA_TYPE_MASK,
            offset,
            value,
        };
        offset += length.next_multiple_of(4);
        Some(attribute)
    })
}

/// The value of the first attribute of a kind.
pub(crate) fn find(buffer: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(buffer)
        .find(|attribute| attribute.kind == kind)
        .map(|attribute| attribute.value)
}

/// A big-endian number.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

/// A text without its closing zero.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
}

impl<'a> Message<'a> {
    /// The family in the netfilter header.
    pub(crate) fn family(&self) -> Option<u8> {
        self.bytes.get(HEADER).copied()
    }

    /// What follows the netfilter header.
    pub(crate) fn attributes(&self) -> &'a [u8] {
        self.bytes.get(NETFILTER_HEADER..).unwrap_or_default()
    }

    /// The content of an `NLMSG_ERROR` message.
    pub(crate) fn answer(&self) -> Option<Answer<'a>> {
        let code = i32::from_ne_bytes(self.bytes.get(HEADER..HEADER + 4)?.try_into().ok()?);
        let mut answer = Answer {
            errno: code.checked_neg()?,
            offset: None,
            text: None,
        };
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return Some(answer);
        }
        let request = HEADER + 4;
        let echoed = if self.flags & NLM_F_CAPPED != 0 {
            HEADER
        } else {
            (u32_ne(self.bytes, request)? as usize).checked_next_multiple_of(4)?
        };
        let details = request
            .checked_add(echoed)
            .and_then(|at| self.bytes.get(at..))
            .unwrap_or_default();
        for attribute in attributes(details) {
            match attribute.kind {
                NLMSGERR_ATTR_OFFS => {
                    answer.offset = attribute
                        .value
                        .try_into()
                        .ok()
                        .map(|bytes| u32::from_ne_bytes(bytes) as usize);
                }
                NLMSGERR_ATTR_MSG => answer.text = text(attribute.value),
                _ => {}
            }
        }
        Some(answer)
    }

    /// The number that a `NLMSG_DONE` message ends a dump with: 0, or an error number.
    pub(crate) fn done(&self) -> i32 {
        self.bytes
            .get(HEADER..HEADER + 4)
            .and_then(|code| code.try_into().ok())
            .map_or(0, |code| i32::from_ne_bytes(code).saturating_neg())
    }
}

fn u16_ne(buffer: &[u8], at: usize) -> Option<u16> {
    let bytes = buffer.get(at..at.checked_add(2)?)?;
    bytes.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_ne(buffer: &[u8], at: usize) -> Option<u32> {
    let bytes = buffer.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}
