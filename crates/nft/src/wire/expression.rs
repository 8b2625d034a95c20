//! The kernel's expressions, attribute by attribute as nft 1.0.6 sends them.

use fairway_plan::{Family, Selector, SetName};

use super::constants::{NFTA_DATA_VALUE, NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_LIST_ELEM};
use super::writer::Writer;

/// The first of the 16 data registers, 4 bytes each (`NFT_REG32_00`).
pub(super) const FIRST: u32 = 8;

const NETWORK_HEADER: u32 = 1;
pub(super) const TRANSPORT_HEADER: u32 = 2;

pub(super) const META_L4_PROTOCOL: u32 = 16;

/// `NFT_CT_PROTO_DST`.
const CT_DESTINATION_PORT: u32 = 12;
/// `NFT_CT_SRC_IP`, `NFT_CT_DST_IP` and the same for IPv6.
const CT_SOURCE: [u32; 2] = [19, 21];
const CT_DESTINATION: [u32; 2] = [20, 22];
/// `IP_CT_DIR_ORIGINAL`.
const CT_ORIGINAL: u8 = 0;

const NUMGEN_RANDOM: u32 = 1;
const HASH_JENKINS: u32 = 0;

/// How [`compare`] compares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal = 0,
    NotEqual = 1,
}

impl Comparison {
    pub(super) fn of(negated: bool) -> Self {
        match negated {
            true => Self::NotEqual,
            false => Self::Equal,
        }
    }
}

/// One expression, by its name in the kernel.
pub(super) fn expression(writer: &mut Writer, name: &str, data: impl FnOnce(&mut Writer)) {
    writer.nested(NFTA_LIST_ELEM, |writer| {
        writer.string(NFTA_EXPR_NAME, name);
        writer.nested(NFTA_EXPR_DATA, data);
    });
}

/// Loads the fields of a key, one after the other, as a set holds them.
pub(super) fn load_key(writer: &mut Writer, family: Family, key: &[Selector]) {
    load_fields(writer, family, key, FIRST);
}

/// Loads fields from a register on. Returns the register after them.
pub(super) fn load_fields(
    writer: &mut Writer,
    family: Family,
    fields: &[Selector],
    mut register: u32,
) -> u32 {
    for selector in fields {
        load(writer, family, *selector, register, None);
        register += registers(*selector, family);
    }
    register
}

/// How many registers a field takes.
pub(super) fn registers(selector: Selector, family: Family) -> u32 {
    u32::try_from(selector.padded_length(family) / 4).expect("at most 4 registers a field")
}

/// Loads a field, or its first `length` bytes.
pub(super) fn load(
    writer: &mut Writer,
    family: Family,
    selector: Selector,
    register: u32,
    length: Option<u32>,
) {
    let address = |ip4, ip6| match family {
        Family::Ip4 => (NETWORK_HEADER, ip4, 4),
        Family::Ip6 => (NETWORK_HEADER, ip6, 16),
    };
    let (base, offset, whole) = match selector {
        Selector::SourceAddress | Selector::SourceNetwork => address(12, 8),
        Selector::DestinationAddress => address(16, 24),
        Selector::DestinationPort => (TRANSPORT_HEADER, 2, 2),
        Selector::Protocol => return load_meta(writer, register, META_L4_PROTOCOL),
        Selector::Client => return load_original(writer, register, of_family(family, CT_SOURCE)),
        Selector::AskedAddress => {
            return load_original(writer, register, of_family(family, CT_DESTINATION));
        }
        Selector::AskedPort => return load_original(writer, register, CT_DESTINATION_PORT),
        Selector::ClientSlot(modulus) => {
            return hash(writer, family, register, modulus, false);
        }
        Selector::ConnectionSlot(modulus) => {
            return hash(writer, family, register, modulus, true);
        }
        Selector::RandomSlot(modulus) => {
            return expression(writer, "numgen", |writer| {
                writer.u32(1, register);
                writer.u32(2, modulus);
                writer.u32(3, NUMGEN_RANDOM);
                writer.u32(4, 0);
            });
        }
    };
    load_payload(writer, register, base, offset, length.unwrap_or(whole));
}

/// Hashes the client's address, and its port where that is wanted, into a register.
fn hash(writer: &mut Writer, family: Family, register: u32, modulus: u32, with_port: bool) {
    // As nft has it, which leaves an address's room between the two.
    let source = register + 5;
    load(writer, family, Selector::SourceAddress, source, None);
    let mut length = u32::try_from(family.address_length()).expect("4 or 16");
    if with_port {
        load_payload(writer, source + length / 4, TRANSPORT_HEADER, 0, 2);
        length += 4;
    }
    expression(writer, "hash", |writer| {
        writer.u32(1, source);
        writer.u32(2, register);
        writer.u32(3, length);
        writer.u32(4, modulus);
        writer.u32(5, Selector::CLIENT_SEED);
        writer.u32(7, HASH_JENKINS);
    });
}

/// Loads bytes of the packet, counted from one of its headers.
pub(super) fn load_payload(
    writer: &mut Writer,
    register: u32,
    base: u32,
    offset: u32,
    length: u32,
) {
    expression(writer, "payload", |writer| {
        writer.u32(1, register);
        writer.u32(2, base);
        writer.u32(3, offset);
        writer.u32(4, length);
    });
}

/// Loads what the kernel knows of the packet beside its bytes.
pub(super) fn load_meta(writer: &mut Writer, register: u32, key: u32) {
    expression(writer, "meta", |writer| {
        writer.u32(2, key);
        writer.u32(1, register);
    });
}

/// Loads what the connection's first packet had.
fn load_original(writer: &mut Writer, register: u32, key: u32) {
    expression(writer, "ct", |writer| {
        writer.u32(1, register);
        writer.u32(2, key);
        writer.attribute(3, &[CT_ORIGINAL]);
    });
}

fn of_family(family: Family, [ip4, ip6]: [u32; 2]) -> u32 {
    match family {
        Family::Ip4 => ip4,
        Family::Ip6 => ip6,
    }
}

/// Masks [`FIRST`], then flips bits of it.
pub(super) fn bitwise(writer: &mut Writer, mask: &[u8], xor: &[u8]) {
    expression(writer, "bitwise", |writer| {
        writer.u32(1, FIRST);
        writer.u32(2, FIRST);
        writer.u32(3, u32::try_from(mask.len()).expect("at most 16"));
        writer.nested(4, |writer| writer.attribute(NFTA_DATA_VALUE, mask));
        writer.nested(5, |writer| writer.attribute(NFTA_DATA_VALUE, xor));
    });
}

/// Goes on only if [`FIRST`] compares so.
pub(super) fn compare(writer: &mut Writer, comparison: Comparison, value: &[u8]) {
    expression(writer, "cmp", |writer| {
        writer.u32(1, FIRST);
        writer.u32(2, comparison as u32);
        writer.nested(3, |writer| writer.attribute(NFTA_DATA_VALUE, value));
    });
}

/// Looks for the key at [`FIRST`]; a map's value goes to `destination`.
pub(super) fn look_up(writer: &mut Writer, set: SetName, destination: Option<u32>) {
    expression(writer, "lookup", |writer| {
        writer.string(1, &set.to_string());
        writer.u32(2, FIRST);
        if let Some(register) = destination {
            writer.u32(3, register);
        }
    });
}
