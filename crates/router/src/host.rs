use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

#[cfg(test)]
mod tests;

/// The longest name and label that DNS can carry (RFC 1035 section 2.3.4; the 255 octets of a name
/// include two that its text form does not have).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The host of a request, ready to be matched: lower-case, without port and trailing dot.
///
/// Addresses and names that are too long for DNS are hosts too, but no rule can name them: they match
/// host-less routes only.
#[derive(Clone, PartialEq, Eq)]
pub struct Host(Option<Name>);

/// ASCII text. Most names fit in place, so that parsing them allocates nothing.
type Name = SmallVec<[u8; 64]>;

/// The request's host cannot be one: answer 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host is neither a DNS name nor an IP address, or its port is not between 1 and 65535")]
pub struct InvalidHost;

impl Host {
    /// Parses the value of a Host header or the authority of a request target.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidHost> {
        if let Some(literal) = value.strip_prefix(b"[") {
            return parse_ipv6_literal(literal);
        }
        let (name, port) = split_at_byte(value, b':');
        check_port(port)?;
        parse_name(name.strip_suffix(b".").unwrap_or(name))
    }

    /// The host of an HTTP/1.0 request without Host header: matches host-less routes only.
    pub fn none() -> Self {
        Self(None)
    }

    /// The name that rules are matched against; None where only host-less routes match.
    pub fn as_str(&self) -> Option<&str> {
        let name = self.0.as_deref()?;
        Some(std::str::from_utf8(name).expect("names are parsed to be ASCII"))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.as_str()).finish()
    }
}

/// What follows `[`. Zones and future address versions have no place in a request.
fn parse_ipv6_literal(rest: &[u8]) -> Result<Host, InvalidHost> {
    let end = rest.iter().position(|&byte| byte == b']');
    let (address, after) = rest.split_at(end.ok_or(InvalidHost)?);
    if !is_address::<Ipv6Addr>(address) {
        return Err(InvalidHost);
    }
    match &after[1..] {
        [] => Ok(Host(None)),
        [b':', port @ ..] => check_port(port).map(|()| Host(None)),
        _ => Err(InvalidHost),
    }
}

fn parse_name(name: &[u8]) -> Result<Host, InvalidHost> {
    let mut fits_dns = name.len() <= MAX_NAME;
    for label in name.split(|&byte| byte == b'.') {
        if label.is_empty() || !label.iter().copied().all(is_name_byte) {
            return Err(InvalidHost);
        }
        fits_dns &= label.len() <= MAX_LABEL;
    }
    // Names hardly ever end with a digit, addresses always.
    let may_be_address = name.last().is_some_and(u8::is_ascii_digit);
    if !fits_dns || may_be_address && is_address::<Ipv4Addr>(name) {
        return Ok(Host(None));
    }
    let mut name = Name::from_slice(name);
    name.make_ascii_lowercase();
    Ok(Host(Some(name)))
}

/// Letters, digits, hyphen, and the underscore that DNS names outside the host rules use. What else
/// RFC 3986 allows in a host has several spellings or is the mark of a list.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// A port may be empty; one that is there must be usable.
fn check_port(port: &[u8]) -> Result<(), InvalidHost> {
    if port.is_empty() {
        return Ok(());
    }
    let number = port.iter().try_fold(0_u32, |number, byte| {
        let digit = char::from(*byte).to_digit(10).ok_or(InvalidHost)?;
        Ok(number.saturating_mul(10).saturating_add(digit))
    })?;
    match number {
        1..=65535 => Ok(()),
        _ => Err(InvalidHost),
    }
}

/// What stands before and after the first `separator`.
fn split_at_byte(value: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match value.iter().position(|&byte| byte == separator) {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, &[]),
    }
}

fn is_address<T: std::str::FromStr>(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<T>().is_ok())
}
