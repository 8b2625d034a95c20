//! What the kernel holds, beside what is planned.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fairway_plan::{Element, Packet, Scene, Selector, SetName};

use crate::{Kernel, KernelFacts, KernelState};

/// Compares what the kernel holds with the plan. Slots are drawn when an endpoint comes, so that two
/// tables may be right with different ones: what counts is where packets go.
pub(crate) fn compare(scene: &Scene, facts: &KernelFacts, packets: &[Packet]) -> Kernel {
    let held = match facts {
        KernelFacts::Elements(elements) => elements,
        KernelFacts::NoTable => {
            let summary = "this node has no table of fairway's: does the agent run?";
            return other(KernelState::NoTable, summary.to_owned());
        }
        KernelFacts::Unreadable(why) => {
            return other(KernelState::Unreadable, format!("not read: {why}"));
        }
    };
    let planned = scene.elements();
    let actual = scene.over(held.iter().cloned());
    let differs = packets.iter().any(|packet| {
        let packet = Packet {
            source: None,
            ..*packet
        };
        scene.walk(&packet).outcome != actual.walk(&packet).outcome
    });
    let text = |elements: &[Element]| -> BTreeSet<String> {
        elements
            .iter()
            .map(|element| line(scene, element))
            .collect()
    };
    let is_client = |element: &&Element| element.set.is_filled_by_packets();
    let (held, planned) = (text(held), text(&planned));
    let (missing, unexpected) = match differs {
        false => (Vec::new(), Vec::new()),
        true => (
            planned.difference(&held).cloned().collect(),
            held.difference(&planned).cloned().collect(),
        ),
    };
    let clients = match facts {
        KernelFacts::Elements(elements) => elements.iter().filter(is_client).count(),
        _ => 0,
    };
    Kernel {
        state: if differs {
            KernelState::Differs
        } else {
            KernelState::Agrees
        },
        summary: match (differs, clients) {
            (true, _) => {
                "the kernel does something else than is planned: see the agent's log".to_owned()
            }
            (false, 0) => "the kernel does what is planned".to_owned(),
            (false, _) => "the kernel does what is planned, and remembers this client".to_owned(),
        },
        elements: held.into_iter().collect(),
        missing,
        unexpected,
    }
}

fn other(state: KernelState, summary: String) -> Kernel {
    Kernel {
        state,
        summary,
        elements: Vec::new(),
        missing: Vec::new(),
        unexpected: Vec::new(),
    }
}

/// An element as `nft list` writes it, but for its slot, which says nothing to people.
fn line(scene: &Scene, element: &Element) -> String {
    let shape = element.set.shape();
    let length = scene.family().address_length();
    let key = fields(&shape.key, &element.key.0, length);
    let value = fields(&shape.value, &element.value.0, length);
    match value.is_empty() {
        true => format!("{}: {key}", set_name(element.set)),
        false => format!("{}: {key} -> {value}", set_name(element.set)),
    }
}

fn set_name(set: SetName) -> String {
    set.to_string()
}

fn fields(selectors: &[Selector], bytes: &[u8], address: usize) -> String {
    let mut rest = bytes;
    let mut take = |length: usize| {
        let (field, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        rest = after;
        field
    };
    let texts = selectors.iter().map(|selector| match selector {
        Selector::SourceAddress | Selector::DestinationAddress => match *take(address) {
            [a, b, c, d] => IpAddr::from([a, b, c, d]).to_string(),
            ref bytes => <[u8; 16]>::try_from(bytes)
                .map_or_else(|_| "?".to_owned(), |bytes| IpAddr::from(bytes).to_string()),
        },
        Selector::Protocol => match take(4) {
            [6, ..] => "tcp".to_owned(),
            [17, ..] => "udp".to_owned(),
            [132, ..] => "sctp".to_owned(),
            _ => "?".to_owned(),
        },
        Selector::DestinationPort => match take(4) {
            [high, low, ..] => u16::from_be_bytes([*high, *low]).to_string(),
            _ => "?".to_owned(),
        },
        Selector::RandomSlot(_) => match take(4) {
            [a, b, c, d] => format!("#{}", u32::from_ne_bytes([*a, *b, *c, *d])),
            _ => "?".to_owned(),
        },
        _ => "?".to_owned(),
    });
    texts.collect::<Vec<_>>().join(" . ")
}
