//! Where packets end up, read off the rules as the kernel does, while a batch commits underway.
//!
//! The kernel settles at each hook which generation of the rules a packet meets; every look-up then
//! reads the generation of the elements by itself. So a packet may see rules and elements of before
//! the commit and, from any look-up on, elements of after it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fairway_model::{Port, Protocol};

use crate::set::split_network;
use crate::{Bytes, Chain, Family, Rule, Selector, SetName, Statement};

pub(super) type Sets = BTreeMap<SetName, BTreeMap<Bytes, Bytes>>;

/// One generation of a table.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    pub(super) chains: Vec<Chain>,
    pub(super) sets: Sets,
}

/// The first packet of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) source: IpAddr,
    /// Sent by the node itself.
    pub(super) from_node: bool,
    pub(super) destination: IpAddr,
    /// Sent to an address of the node.
    pub(super) to_node: bool,
    pub(super) protocol: Protocol,
    pub(super) port: Port,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Translated {
        endpoint: Bytes,
        masquerade: bool,
    },
    Dropped,
    Refused,
    /// Nothing of ours concerned it.
    Passed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    /// Elements are read from the second generation.
    switched: bool,
    marked: bool,
}

/// Everything that may become of the packet if a commit turns the first generation into the second
/// at some moment of its way.
pub(super) fn outcomes(
    before: &Generation,
    after: &Generation,
    packet: &Packet,
) -> BTreeSet<Outcome> {
    at_hooks(before, after, packet, &hooks(packet))
}

/// What becomes of the packet in a table that stays as it is, if somebody else decides whether its
/// sender is let in.
pub(super) fn outcomes_behind(generation: &Generation, packet: &Packet) -> BTreeSet<Outcome> {
    at_hooks(generation, generation, packet, &hooks(packet)[1..])
}

/// Whether the sender is let in.
pub(super) fn lets_in(generation: &Generation, packet: &Packet) -> bool {
    let outcomes = at_hooks(generation, generation, packet, &hooks(packet)[..1]);
    !outcomes.contains(&Outcome::Dropped)
}

/// What the kernel does for the packet in a table that stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) rules: usize,
    /// Look-ups in sets and maps.
    pub(super) lookups: usize,
}

/// The most that the packet may cost.
pub(super) fn cost(generation: &Generation, packet: &Packet) -> Cost {
    walk(generation, generation, packet, &hooks(packet)).cost
}

fn hooks(packet: &Packet) -> [&'static str; 3] {
    match (packet.from_node, packet.to_node) {
        (true, _) => ["source-ranges-output", "nat-output", "filter-output"],
        (false, true) => ["source-ranges-prerouting", "nat-prerouting", "filter-input"],
        (false, false) => [
            "source-ranges-prerouting",
            "nat-prerouting",
            "filter-forward",
        ],
    }
}

fn at_hooks(
    before: &Generation,
    after: &Generation,
    packet: &Packet,
    hooks: &[&str],
) -> BTreeSet<Outcome> {
    walk(before, after, packet, hooks).outcomes
}

fn walk<'a>(
    before: &'a Generation,
    after: &'a Generation,
    packet: &'a Packet,
    hooks: &[&str],
) -> Walk<'a> {
    let mut walk = Walk {
        before,
        after,
        packet,
        outcomes: BTreeSet::new(),
        cost: Cost::default(),
    };
    let mut states = BTreeSet::from([State::default()]);
    for hook in hooks {
        states = walk.hook(hook, states);
    }
    if !states.is_empty() {
        walk.outcomes.insert(Outcome::Passed);
    }
    walk
}

struct Walk<'a> {
    before: &'a Generation,
    after: &'a Generation,
    packet: &'a Packet,
    outcomes: BTreeSet<Outcome>,
    /// Of the way on which no commit comes between.
    cost: Cost,
}

/// Where states go that a rule does not end.
#[derive(Default)]
struct Onwards {
    next_rule: BTreeSet<State>,
    caller: BTreeSet<State>,
}

impl<'a> Walk<'a> {
    fn hook(&mut self, name: &str, states: BTreeSet<State>) -> BTreeSet<State> {
        let mut onwards = BTreeSet::new();
        let not_yet = states.iter().copied().filter(|state| !state.switched);
        onwards.extend(self.chain(&self.before.chains, name, not_yet.collect()));
        let switched = |mut state: State| {
            state.switched = true;
            state
        };
        let states = states.into_iter().map(switched).collect();
        onwards.extend(self.chain(&self.after.chains, name, states));
        onwards
    }

    /// Returns the states that come back to the caller. A base chain may not be there.
    fn chain(
        &mut self,
        chains: &'a [Chain],
        name: &str,
        mut states: BTreeSet<State>,
    ) -> BTreeSet<State> {
        let mut back = BTreeSet::new();
        let rules = chains.iter().find(|chain| chain.name == name);
        for Rule { statements, .. } in rules.map_or(&[][..], |chain| &chain.rules) {
            let mut onwards = Onwards::default();
            for state in states {
                self.cost.rules += usize::from(!state.switched);
                self.rule(chains, statements, state, &mut onwards);
            }
            states = onwards.next_rule;
            back.append(&mut onwards.caller);
        }
        back.append(&mut states);
        back
    }

    fn rule(
        &mut self,
        chains: &'a [Chain],
        statements: &'a [Statement],
        mut state: State,
        onwards: &mut Onwards,
    ) {
        let Some((first, rest)) = statements.split_first() else {
            onwards.next_rule.insert(state);
            return;
        };
        let packet = self.packet;
        if let Statement::InSet { .. } | Statement::Translate { .. } = first {
            self.cost.lookups += usize::from(!state.switched);
        }
        let holds = match first {
            Statement::SourceIn { network, negated } => {
                network.contains(&packet.source) != *negated
            }
            Statement::DestinationIn { network, negated } => {
                network.contains(&packet.destination) != *negated
            }
            Statement::DestinationIsLocal => packet.to_node,
            Statement::SourceIsLocal => packet.from_node,
            Statement::ConnectionIsNew => true,
            // It opens a connection.
            Statement::ConnectionIsInvalid | Statement::IsTcpReset | Statement::IsMidConnection => {
                false
            }
            // Translated packets are an outcome already.
            Statement::ConnectionIsTranslated => false,
            Statement::SetMark(_) => {
                state.marked = true;
                true
            }
            Statement::InSet { key, set } => {
                for state in moments(state) {
                    if self.is_in(key, *set, state) {
                        self.rule(chains, rest, state, onwards);
                    } else {
                        onwards.next_rule.insert(state);
                    }
                }
                return;
            }
            Statement::Translate { key, map } => {
                for state in moments(state) {
                    self.translate(key, *map, state, onwards);
                }
                return;
            }
            Statement::Goto(target) => {
                let back = self.chain(chains, target, BTreeSet::from([state]));
                onwards.caller.extend(back);
                return;
            }
            Statement::Jump(target) => {
                let back = self.chain(chains, target, BTreeSet::from([state]));
                onwards.next_rule.extend(back);
                return;
            }
            Statement::Return => {
                onwards.caller.insert(state);
                return;
            }
            Statement::Drop => {
                self.outcomes.insert(Outcome::Dropped);
                return;
            }
            Statement::Reset | Statement::Reject => {
                self.outcomes.insert(Outcome::Refused);
                return;
            }
            other => panic!("not on the way of a first packet: {other:?}"),
        };
        if holds {
            self.rule(chains, rest, state, onwards);
        } else {
            onwards.next_rule.insert(state);
        }
    }

    fn elements(&self, set: SetName, state: State) -> Option<&BTreeMap<Bytes, Bytes>> {
        let generation = match state.switched {
            true => self.after,
            false => self.before,
        };
        generation.sets.get(&set)
    }

    fn is_in(&self, key: &[Selector], set: SetName, state: State) -> bool {
        let Some(elements) = self.elements(set, state) else {
            return false;
        };
        if set != SetName::AllowedSources {
            return elements.contains_key(&self.key(key, 0));
        }
        let frontend = self.key(&key[..key.len() - 1], 0);
        elements.keys().any(|key| {
            let (of, network) = split_network(key, Family::of(self.packet.source)).unwrap();
            of == frontend && network.contains(&self.packet.source)
        })
    }

    fn translate(&mut self, key: &[Selector], map: SetName, state: State, onwards: &mut Onwards) {
        let draws = key.iter().find_map(|selector| match selector {
            Selector::RandomSlot(slots)
            | Selector::ClientSlot(slots)
            | Selector::ConnectionSlot(slots) => Some(*slots),
            _ => None,
        });
        let frontend = match draws {
            Some(_) => self.key(&key[..key.len() - 1], 0),
            None => self.key(key, 0),
        };
        let slots = draws.unwrap_or(1);
        let found: Vec<Bytes> = self
            .elements(map, state)
            .into_iter()
            .flat_map(|elements| elements.range(frontend.clone()..))
            .take_while(|(key, _)| key.0.starts_with(&frontend.0))
            .filter(|(key, _)| match key.0[frontend.0.len()..] {
                [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]) < slots,
                _ => true,
            })
            .map(|(_, endpoint)| endpoint.clone())
            .collect();
        if found.len() < slots as usize {
            onwards.next_rule.insert(state);
        }
        let masquerade = state.marked;
        let outcomes = found.into_iter().map(|endpoint| Outcome::Translated {
            endpoint,
            masquerade,
        });
        self.outcomes.extend(outcomes);
    }

    fn key(&self, selectors: &[Selector], slot: u32) -> Bytes {
        let packet = self.packet;
        let add = |key: Bytes, selector: &Selector| match selector {
            Selector::SourceAddress | Selector::SourceNetwork => key.address(packet.source),
            Selector::DestinationAddress => key.address(packet.destination),
            Selector::Protocol => key.protocol(packet.protocol),
            Selector::DestinationPort => key.port(packet.port),
            Selector::RandomSlot(_) => key.slot(slot),
            other => panic!("not known before translation: {other:?}"),
        };
        selectors.iter().fold(Bytes::new(), add)
    }
}

/// The commit may or may not have come by now.
fn moments(state: State) -> impl Iterator<Item = State> {
    let switched = State {
        switched: true,
        ..state
    };
    BTreeSet::from([state, switched]).into_iter()
}
