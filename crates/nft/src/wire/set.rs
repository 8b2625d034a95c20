//! Sets and maps.

use fairway_plan::{Family, Selector, SetName, TABLE};

use super::constants::{
    NFT_MSG_DELSET, NFT_MSG_NEWSET, NFT_SET_CONCAT, NFT_SET_EVAL, NFT_SET_INTERVAL, NFT_SET_MAP,
    NFT_SET_TIMEOUT, NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_LIST_ELEM, NFTA_SET_DATA_LEN,
    NFTA_SET_DATA_TYPE, NFTA_SET_DESC, NFTA_SET_DESC_CONCAT, NFTA_SET_DESC_SIZE, NFTA_SET_EXPR,
    NFTA_SET_EXPRESSIONS, NFTA_SET_FIELD_LEN, NFTA_SET_FLAGS, NFTA_SET_ID, NFTA_SET_KEY_LEN,
    NFTA_SET_KEY_TYPE, NFTA_SET_NAME, NFTA_SET_TABLE, NFTA_SET_TIMEOUT, NFTA_SET_USERDATA,
    NLM_F_CREATE, family_number,
};
use super::reader;
use super::writer::Writer;

mod userdata;

/// What the kernel must hold of a set for it to be one of ours. The types mean nothing to the
/// kernel; nft keeps them there to print elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    flags: u32,
    key_type: u32,
    key_length: u32,
    data_type: u32,
    data_length: u32,
    /// Milliseconds.
    timeout: u64,
    size: u32,
    expressions: Expressions,
}

/// What the kernel runs for every packet that finds an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expressions {
    None,
    Counter,
    /// Never in a set of ours.
    Others,
}

impl Shape {
    /// The shape that a set of ours has.
    pub(crate) fn of(name: SetName, family: Family) -> Self {
        let set = name.shape();
        Self {
            flags: match (set.has_networks(), name.is_filled_by_packets()) {
                (true, _) => NFT_SET_INTERVAL | NFT_SET_CONCAT,
                (false, true) => NFT_SET_MAP | NFT_SET_EVAL | NFT_SET_TIMEOUT,
                (false, false) if set.value.is_empty() => 0,
                (false, false) => NFT_SET_MAP,
            },
            key_type: data_type(&set.key, family),
            key_length: length(&set.key, family),
            data_type: data_type(&set.value, family),
            data_length: length(&set.value, family),
            timeout: u64::from(name.timeout().unwrap_or_default()) * 1_000,
            size: name.capacity().unwrap_or_default(),
            expressions: match name.counts() {
                true => Expressions::Counter,
                false => Expressions::None,
            },
        }
    }

    /// The shape of the set described by these attributes.
    pub(crate) fn read(attributes: &[u8]) -> Option<Self> {
        let number = |kind| match reader::find(attributes, kind) {
            Some(value) => reader::number(value),
            None => Some(0),
        };
        let description = reader::find(attributes, NFTA_SET_DESC).unwrap_or_default();
        Some(Self {
            flags: number(NFTA_SET_FLAGS)?,
            key_type: number(NFTA_SET_KEY_TYPE)?,
            key_length: number(NFTA_SET_KEY_LEN)?,
            data_type: number(NFTA_SET_DATA_TYPE)?,
            data_length: number(NFTA_SET_DATA_LEN)?,
            timeout: match reader::find(attributes, NFTA_SET_TIMEOUT) {
                Some(value) => u64::from_be_bytes(value.try_into().ok()?),
                None => 0,
            },
            size: match reader::find(description, NFTA_SET_DESC_SIZE) {
                Some(value) => reader::number(value)?,
                None => 0,
            },
            expressions: Expressions::read(attributes),
        })
    }
}

impl Expressions {
    fn read(attributes: &[u8]) -> Self {
        let find = |kind| reader::find(attributes, kind);
        match (find(NFTA_SET_EXPR), find(NFTA_SET_EXPRESSIONS)) {
            (None, None) => Self::None,
            (Some(expression), None) if is_counter(expression) => Self::Counter,
            _ => Self::Others,
        }
    }
}

pub(super) fn is_counter(expression: &[u8]) -> bool {
    let name = reader::find(expression, NFTA_EXPR_NAME).and_then(reader::text);
    name == Some(COUNTER)
}

const COUNTER: &str = "counter";

/// Bytes of a concatenation.
fn length(selectors: &[Selector], family: Family) -> u32 {
    let total: usize = selectors
        .iter()
        .map(|selector| selector.padded_length(family))
        .sum();
    u32::try_from(total).expect("a handful of fields")
}

/// nft's number for a type; a concatenation has 6 bits for each of its fields, the last one lowest.
fn data_type(selectors: &[Selector], family: Family) -> u32 {
    selectors.iter().fold(0, |concatenation, selector| {
        let field = match (selector, family) {
            (
                Selector::RandomSlot(_) | Selector::ClientSlot(_) | Selector::ConnectionSlot(_),
                _,
            ) => 4,
            (
                Selector::SourceAddress
                | Selector::SourceNetwork
                | Selector::DestinationAddress
                | Selector::Client
                | Selector::AskedAddress,
                family,
            ) => match family {
                Family::Ip4 => 7,
                Family::Ip6 => 8,
            },
            (Selector::Protocol, _) => 12,
            (Selector::DestinationPort | Selector::AskedPort, _) => 13,
        };
        concatenation << 6 | field
    })
}

/// Creates a set. `id` tells the sets of one batch apart.
pub(crate) fn create(writer: &mut Writer, sequence: u32, family: Family, name: SetName, id: u32) {
    let shape = Shape::of(name, family);
    let set = name.shape();
    let number = family_number(family);
    writer.message(NFT_MSG_NEWSET, NLM_F_CREATE, sequence, number, |writer| {
        writer.string(NFTA_SET_TABLE, TABLE);
        writer.string(NFTA_SET_NAME, &name.to_string());
        writer.u32(NFTA_SET_FLAGS, shape.flags);
        writer.u32(NFTA_SET_KEY_TYPE, shape.key_type);
        writer.u32(NFTA_SET_KEY_LEN, shape.key_length);
        if shape.data_length != 0 {
            writer.u32(NFTA_SET_DATA_TYPE, shape.data_type);
            writer.u32(NFTA_SET_DATA_LEN, shape.data_length);
        }
        if set.has_networks() {
            describe_fields(writer, &set.key, family);
        }
        if name.is_filled_by_packets() {
            writer.nested(NFTA_SET_DESC, |writer| {
                writer.u32(NFTA_SET_DESC_SIZE, shape.size);
            });
            writer.attribute(NFTA_SET_TIMEOUT, &shape.timeout.to_be_bytes());
        }
        if shape.expressions == Expressions::Counter {
            // The kernel gives each element one of its own.
            writer.nested(NFTA_SET_EXPR, |writer| {
                writer.string(NFTA_EXPR_NAME, COUNTER);
                writer.nested(NFTA_EXPR_DATA, |_| {});
            });
        }
        writer.u32(NFTA_SET_ID, id);
        writer.attribute(NFTA_SET_USERDATA, &userdata::of(&set, family));
    });
}

/// The kernel has to know where fields begin to compare them one by one.
fn describe_fields(writer: &mut Writer, key: &[Selector], family: Family) {
    writer.nested(NFTA_SET_DESC, |writer| {
        writer.nested(NFTA_SET_DESC_CONCAT, |writer| {
            for selector in key {
                let bytes = match selector {
                    Selector::Protocol => 1,
                    Selector::DestinationPort => 2,
                    other => length(&[*other], family),
                };
                writer.nested(NFTA_LIST_ELEM, |writer| {
                    writer.u32(NFTA_SET_FIELD_LEN, bytes);
                });
            }
        });
    });
}

pub(crate) fn delete(writer: &mut Writer, sequence: u32, family: Family, name: &str) {
    writer.message(
        NFT_MSG_DELSET,
        0,
        sequence,
        family_number(family),
        |writer| {
            writer.string(NFTA_SET_TABLE, TABLE);
            writer.string(NFTA_SET_NAME, name);
        },
    );
}
