//! What the packet of a translated connection stores, read off the rules as the kernel does.

use super::walk::{Generation, Packet};
use crate::{Bytes, Rule, Selector, SetName, Statement};

/// What became of a rule.
enum End {
    NextRule,
    Return,
    Goto(&'static str),
}

/// Lets a packet that was sent to this endpoint pass the filter hooks.
pub(super) fn remember(generation: &mut Generation, packet: &Packet, endpoint: &Bytes) {
    let chains = generation.chains.clone();
    let find = |name: &str| chains.iter().find(|chain| chain.name == name);
    // All three hooks begin with the same rule.
    let hook = find("filter-forward").expect("is always there");
    let mut next = match hook.rules[0].statements[..] {
        [
            Statement::ConnectionIsNew,
            Statement::ConnectionIsTranslated,
            Statement::Jump(target),
        ] => Some(target),
        _ => None,
    };
    while let Some(chain) = next.take() {
        for rule in &find(chain).expect("is jumped to").rules {
            match run(generation, rule, packet, endpoint) {
                End::NextRule => {}
                End::Return => return,
                End::Goto(target) => {
                    next = Some(target);
                    break;
                }
            }
        }
    }
}

fn run(generation: &mut Generation, rule: &Rule, packet: &Packet, endpoint: &Bytes) -> End {
    for statement in &rule.statements {
        match statement {
            Statement::ProtocolIs(protocol) if *protocol == packet.protocol => {}
            Statement::ProtocolIs(_) => return End::NextRule,
            Statement::InSet { key, set } => {
                let elements = generation.sets.get(set).expect("the set is there");
                if !elements.contains_key(&bytes(key, packet, endpoint)) {
                    return End::NextRule;
                }
            }
            Statement::Remember { key, value, map } => {
                let [key, value] = [key, value].map(|fields| bytes(fields, packet, endpoint));
                clients(generation, *map).entry(key).or_insert(value);
            }
            Statement::Forget { key, map, .. } => {
                clients(generation, *map).remove(&bytes(key, packet, endpoint));
            }
            Statement::Return => return End::Return,
            Statement::Goto(target) => return End::Goto(target),
            other => panic!("not on the way of a translated packet: {other:?}"),
        }
    }
    End::NextRule
}

fn clients(
    generation: &mut Generation,
    map: SetName,
) -> &mut std::collections::BTreeMap<Bytes, Bytes> {
    generation.sets.get_mut(&map).expect("the map is there")
}

fn bytes(fields: &[Selector], packet: &Packet, endpoint: &Bytes) -> Bytes {
    let [
        rest @ ..,
        Selector::DestinationAddress,
        Selector::DestinationPort,
    ] = fields
    else {
        return asked(fields, packet);
    };
    let mut bytes = asked(rest, packet);
    bytes.0.extend_from_slice(&endpoint.0);
    bytes
}

fn asked(fields: &[Selector], packet: &Packet) -> Bytes {
    let add = |key: Bytes, selector: &Selector| match selector {
        Selector::Client => key.address(packet.source),
        Selector::AskedAddress => key.address(packet.destination),
        Selector::Protocol => key.protocol(packet.protocol),
        Selector::AskedPort => key.port(packet.port),
        other => panic!("not known after translation: {other:?}"),
    };
    fields.iter().fold(Bytes::new(), add)
}
