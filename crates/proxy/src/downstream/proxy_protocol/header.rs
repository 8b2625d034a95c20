//! What a PROXY protocol header says, in version 1 (text) and 2 (binary), both read to the letter.
//!
//! Our own: the crates for it take ports like `+80` or `0080`, and do not tell a header that is not there
//! from one that is broken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What version 1 begins with.
const TEXT: &[u8] = b"PROXY ";

/// A line of version 1 with its end, in bytes; the protocol's own bound.
const LONGEST_LINE: usize = 107;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length.
const FIXED: usize = 16;

/// Addresses and TLVs of version 2. Senders put names, checksums and parts of certificates there.
const LONGEST_REST: usize = 4096;

/// Longest header that is taken, in bytes.
pub(super) const LONGEST: usize = FIXED + LONGEST_REST;

/// A complete header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// In bytes.
    pub(super) length: usize,
    /// None when the sender speaks for itself, or does not know the client.
    pub(super) addresses: Option<Addresses>,
}

/// Whose connection the sender passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// The client.
    pub(super) source: SocketAddr,
    /// Where the client connected to.
    pub(super) destination: SocketAddr,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Header(Header),
    /// A header, but no valid one.
    Malformed,
    /// A header that goes on beyond what is taken.
    TooLong,
    /// May become a header.
    Incomplete,
    /// No header.
    Other,
}

impl Start {
    /// Looks at all bytes that there are so far.
    pub(super) fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(TEXT) {
            text(bytes)
        } else if bytes.starts_with(SIGNATURE) {
            binary(bytes)
        } else if TEXT.starts_with(bytes) || SIGNATURE.starts_with(bytes) {
            Self::Incomplete
        } else {
            Self::Other
        }
    }
}

/// Whether this is the beginning of a header and of nothing else.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(TEXT) || bytes.starts_with(SIGNATURE)
}

fn text(bytes: &[u8]) -> Start {
    let window = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', window) else {
        return match window.len() < LONGEST_LINE {
            true => Start::Incomplete,
            false => Start::TooLong,
        };
    };
    match &window[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if window.len() < LONGEST_LINE => return Start::Incomplete,
        _ => return Start::Malformed,
    }
    match line(&window[TEXT.len()..end]) {
        Some(addresses) => Start::Header(Header {
            length: end + 2,
            addresses,
        }),
        None => Start::Malformed,
    }
}

/// What stands behind `PROXY `; None for what the protocol does not allow.
fn line(line: &[u8]) -> Option<Option<Addresses>> {
    // Whatever follows is to be ignored.
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Some(None);
    }
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let mut word = || words.next();
    let (family, source, destination) = (word()?, word()?, word()?);
    let (source_port, destination_port) = (port(word()?)?, port(word()?)?);
    if word().is_some() {
        return None;
    }
    let address = |text: &str| match family {
        "TCP4" => text.parse().ok().map(IpAddr::V4),
        "TCP6" => text.parse().ok().map(IpAddr::V6),
        _ => None,
    };
    Some(Some(Addresses {
        source: SocketAddr::new(address(source)?, source_port),
        destination: SocketAddr::new(address(destination)?, destination_port),
    }))
}

/// Digits without leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok())?
}

fn binary(bytes: &[u8]) -> Start {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Start::Incomplete;
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > LONGEST_REST {
        return Start::TooLong;
    }
    let proxied = match fixed[12] {
        0x20 => false,
        0x21 => true,
        _ => return Start::Malformed,
    };
    let Some(rest) = rest.get(..length) else {
        return Start::Incomplete;
    };
    // Without a client the family means nothing.
    let addresses = match (proxied, fixed[13]) {
        (false, _) | (true, 0x00) => Some(None),
        (true, family) => proxied_addresses(family, rest),
    };
    match addresses {
        Some(addresses) => Start::Header(Header {
            length: FIXED + length,
            addresses,
        }),
        None => Start::Malformed,
    }
}

/// Addresses and whole TLVs behind them; None for what the protocol does not allow, and for datagrams.
fn proxied_addresses(family: u8, rest: &[u8]) -> Option<Option<Addresses>> {
    let (addresses, tlvs) = match family {
        0x11 => {
            let (block, tlvs) = rest.split_first_chunk::<12>()?;
            let [s0, s1, s2, s3, d0, d1, d2, d3, sp0, sp1, dp0, dp1] = *block;
            let addresses = Addresses {
                source: (Ipv4Addr::new(s0, s1, s2, s3), join(sp0, sp1)).into(),
                destination: (Ipv4Addr::new(d0, d1, d2, d3), join(dp0, dp1)).into(),
            };
            (Some(addresses), tlvs)
        }
        0x21 => {
            let (source, rest) = rest.split_first_chunk::<16>()?;
            let (destination, rest) = rest.split_first_chunk::<16>()?;
            let ([sp0, sp1, dp0, dp1], tlvs) = rest.split_first_chunk::<4>()?;
            let addresses = Addresses {
                source: (Ipv6Addr::from(*source), join(*sp0, *sp1)).into(),
                destination: (Ipv6Addr::from(*destination), join(*dp0, *dp1)).into(),
            };
            (Some(addresses), tlvs)
        }
        // A UNIX socket: two paths of 108 bytes.
        0x31 => (None, rest.get(216..)?),
        _ => return None,
    };
    are_whole(tlvs).then_some(addresses)
}

/// Whether every TLV ends where the header does, or before.
fn are_whole(mut tlvs: &[u8]) -> bool {
    while let [_, high, low, rest @ ..] = tlvs {
        let Some(next) = rest.get(usize::from(join(*high, *low))..) else {
            return false;
        };
        tlvs = next;
    }
    tlvs.is_empty()
}

fn join(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests;
