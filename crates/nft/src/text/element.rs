//! The types of sets and their elements, as nft prints them.

use std::fmt::{self, Display, Formatter, Write as _};
use std::net::IpAddr;

use fairway_plan::{Bytes, Family, Selector, SetName};
use ipnet::IpNet;

use super::statement::{Context, Key, Network};

/// What follows `typeof`.
pub(super) struct TypeOf(pub(super) SetName, pub(super) Family);

impl Display for TypeOf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let set = self.0.shape();
        let context = Context {
            family: self.1,
            protocol: None,
        };
        Key(context, &set.key).fmt(f)?;
        if !set.value.is_empty() {
            write!(f, " : {}", Key(context, &set.value))?;
        }
        Ok(())
    }
}

/// What follows `type`.
pub(super) struct Types<'a>(pub(super) Family, pub(super) &'a [Selector]);

impl Display for Types<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.1.iter().map(|selector| match (selector, self.0) {
            (Selector::Protocol, _) => "inet_proto",
            (Selector::DestinationPort | Selector::AskedPort, _) => "inet_service",
            (Selector::RandomSlot(_), _) => "integer",
            (_, Family::Ip4) => "ipv4_addr",
            (_, Family::Ip6) => "ipv6_addr",
        });
        f.write_str(&names.collect::<Vec<_>>().join(" . "))
    }
}

/// Key and value of an element; the value of a set's element is empty.
pub(super) struct ElementText<'a>(
    pub(super) Family,
    pub(super) SetName,
    pub(super) &'a Bytes,
    pub(super) &'a Bytes,
);

impl Display for ElementText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(family, name, key, value) = self;
        let set = name.shape();
        write_fields(f, *family, &set.key, &key.0)?;
        if name.counts() {
            f.write_str(" counter packets 0 bytes 0")?;
        }
        if !set.value.is_empty() {
            f.write_str(" : ")?;
            write_fields(f, *family, &set.value, &value.0)?;
        }
        Ok(())
    }
}

fn write_fields(
    f: &mut Formatter<'_>,
    family: Family,
    fields: &[Selector],
    mut bytes: &[u8],
) -> fmt::Result {
    for (index, selector) in fields.iter().enumerate() {
        if index > 0 {
            f.write_str(" . ")?;
        }
        let Some((field, rest)) = bytes.split_at_checked(selector.element_length(family)) else {
            return f.write_str("?");
        };
        bytes = rest;
        write_field(f, *selector, field)?;
    }
    Ok(())
}

fn write_field(f: &mut Formatter<'_>, selector: Selector, field: &[u8]) -> fmt::Result {
    match (selector, field) {
        (Selector::Protocol, [6, ..]) => f.write_str("tcp"),
        (Selector::Protocol, [17, ..]) => f.write_str("udp"),
        (Selector::Protocol, [132, ..]) => f.write_str("sctp"),
        (Selector::Protocol, [number, ..]) => number.fmt(f),
        (Selector::DestinationPort, [high, low, ..]) => u16::from_be_bytes([*high, *low]).fmt(f),
        (Selector::RandomSlot(_), &[a, b, c, d]) => u32::from_ne_bytes([a, b, c, d]).fmt(f),
        (Selector::SourceNetwork, [address_bytes @ .., prefix, _, _, _]) => {
            let network = address(address_bytes).map(|address| IpNet::new(address, *prefix));
            match network {
                Some(Ok(network)) => Network(network).fmt(f),
                _ => f.write_char('?'),
            }
        }
        (_, field) => match address(field) {
            Some(address) => address.fmt(f),
            None => f.write_char('?'),
        },
    }
}

fn address(field: &[u8]) -> Option<IpAddr> {
    let ip4 = <[u8; 4]>::try_from(field).map(IpAddr::from);
    let ip6 = || <[u8; 16]>::try_from(field).map(IpAddr::from);
    ip4.or_else(|_| ip6()).ok()
}
