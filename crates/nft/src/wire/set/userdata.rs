//! What nft stores with a set so that it can print `typeof ...`, byte for byte as nft 1.0.6 does.
//!
//! A list of type, length (a byte each) and value, nested for expressions. Numbers are in host order.

use fairway_plan::{Family, Selector, Set};

use crate::text::LONGEST_TYPEOF;

// enum nftnl_udata_set_types
const KEY_BYTE_ORDER: u8 = 0;
const DATA_BYTE_ORDER: u8 = 1;
const KEY_TYPEOF: u8 = 3;
const DATA_TYPEOF: u8 = 4;
const DATA_INTERVAL: u8 = 6;

// nft's enum byteorder
const BYTE_ORDER_INVALID: u32 = 0;
const BYTE_ORDER_BIG_ENDIAN: u32 = 2;

// nft's enum expr_types
const EXPRESSION_PAYLOAD: u32 = 7;
const EXPRESSION_META: u32 = 9;
const EXPRESSION_CONCATENATION: u32 = 13;
const EXPRESSION_NUMGEN: u32 = 23;

// nft's enum proto_desc_id, and the index of the field in the protocol's template
const PROTOCOL_TRANSPORT: u32 = 11;
const PROTOCOL_IP: u32 = 12;
const PROTOCOL_IP6: u32 = 13;
const TRANSPORT_DESTINATION_PORT: u32 = 2;
const IP_SOURCE: u32 = 11;
const IP_DESTINATION: u32 = 12;
const IP6_SOURCE: u32 = 8;
const IP6_DESTINATION: u32 = 9;

const META_L4_PROTOCOL: u32 = 16;
const NUMGEN_RANDOM: u32 = 1;

/// The user data of a set.
pub(super) fn of(set: &Set, family: Family) -> Vec<u8> {
    let mut out = Vec::with_capacity(192);
    number(&mut out, KEY_BYTE_ORDER, byte_order(&set.key));
    if !set.value.is_empty() {
        number(&mut out, DATA_BYTE_ORDER, byte_order(&set.value));
    }
    if set.key.len() <= LONGEST_TYPEOF {
        nested(&mut out, KEY_TYPEOF, |out| type_of(out, &set.key, family));
    }
    if !set.value.is_empty() {
        nested(&mut out, DATA_TYPEOF, |out| {
            type_of(out, &set.value, family)
        });
        number(&mut out, DATA_INTERVAL, 0);
    }
    out
}

/// nft knows the byte order of a single field only.
fn byte_order(selectors: &[Selector]) -> u32 {
    match selectors {
        [_] => BYTE_ORDER_BIG_ENDIAN,
        _ => BYTE_ORDER_INVALID,
    }
}

fn type_of(out: &mut Vec<u8>, selectors: &[Selector], family: Family) {
    if let [selector] = selectors {
        return field(out, *selector, family);
    }
    number(out, 0, EXPRESSION_CONCATENATION);
    nested(out, 1, |out| {
        for (index, selector) in (0..).zip(selectors) {
            nested(out, index, |out| field(out, *selector, family));
        }
    });
}

fn field(out: &mut Vec<u8>, selector: Selector, family: Family) {
    let (expression, numbers): (_, &[u32]) = match (selector, family) {
        (Selector::SourceAddress | Selector::SourceNetwork, Family::Ip4) => {
            (EXPRESSION_PAYLOAD, &[PROTOCOL_IP, IP_SOURCE])
        }
        (Selector::DestinationAddress, Family::Ip4) => {
            (EXPRESSION_PAYLOAD, &[PROTOCOL_IP, IP_DESTINATION])
        }
        (Selector::SourceAddress | Selector::SourceNetwork, Family::Ip6) => {
            (EXPRESSION_PAYLOAD, &[PROTOCOL_IP6, IP6_SOURCE])
        }
        (Selector::DestinationAddress, Family::Ip6) => {
            (EXPRESSION_PAYLOAD, &[PROTOCOL_IP6, IP6_DESTINATION])
        }
        (
            Selector::ClientSlot(_)
            | Selector::ConnectionSlot(_)
            | Selector::Client
            | Selector::AskedAddress
            | Selector::AskedPort,
            _,
        ) => {
            unreachable!("rules look up by these, no set is declared with them")
        }
        (Selector::DestinationPort, _) => (
            EXPRESSION_PAYLOAD,
            &[PROTOCOL_TRANSPORT, TRANSPORT_DESTINATION_PORT],
        ),
        (Selector::Protocol, _) => (EXPRESSION_META, &[META_L4_PROTOCOL]),
        (Selector::RandomSlot(modulus), _) => (EXPRESSION_NUMGEN, &[NUMGEN_RANDOM, modulus, 0]),
    };
    number(out, 0, expression);
    nested(out, 1, |out| {
        for (index, value) in (0..).zip(numbers) {
            number(out, index, *value);
        }
    });
}

fn number(out: &mut Vec<u8>, kind: u8, value: u32) {
    out.extend_from_slice(&[kind, 4]);
    out.extend_from_slice(&value.to_ne_bytes());
}

fn nested(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[kind, 0]);
    body(out);
    out[start + 1] = u8::try_from(out.len() - start - 2).expect("four fields take 88 bytes");
}
