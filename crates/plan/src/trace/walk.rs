use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use fairway_model::{Port, Protocol};

use super::{Sets, endpoint};
use crate::layout::cause;
use crate::set::split_network;
use crate::{Bytes, Chain, Family, Selector, SetName, Statement};

/// Who sends the first packet of a connection, and where it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What kind of sender it is.
    pub sender: Sender,
    /// Its address. Where it is not known, the sender is let in by source ranges, and remembered nowhere.
    pub source: Option<IpAddr>,
    /// Whether the destination is an address of this node.
    pub to_node: bool,
}

/// What kind of sender it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// Neither this node nor one of its pods; what comes in on an interface of this node.
    Outside,
    /// A pod, as far as pods can be told from others here.
    Pod,
    /// This node itself.
    Node,
}

/// The way of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Where it ends.
    pub outcome: Outcome,
    /// The chains it came through, in order.
    pub chains: Vec<&'static str>,
}

/// Where a packet ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It gets another destination.
    Translated {
        /// One of these, with the number of slots that each one has: its share of new connections.
        endpoints: Vec<(SocketAddr, usize)>,
        /// Its source becomes this node.
        masquerade: bool,
        /// The client is remembered, and goes where it went before.
        remembered: bool,
    },
    /// Nobody hears of it.
    Dropped(Option<Cause>),
    /// The sender is told: by a reset (TCP), else by ICMP.
    Refused(Option<Cause>),
    /// Nothing of ours concerns it.
    Passed,
}

/// Why a packet is dropped or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its sender is in none of the source ranges.
    NotInSourceRange,
    /// There are endpoints, none of which is on this node, and the policy asks for those.
    NoLocalEndpoints,
    /// There is no endpoint that could answer.
    NoEndpoints,
    /// The ClusterIP has no such port.
    NoSuchPort,
    /// The address is one for Services, and no Service has it.
    NoSuchService,
}

pub(super) fn walk(
    chains: &[Chain],
    sets: &Sets,
    packet: &Packet,
    (destination, protocol, port): (IpAddr, Protocol, Port),
) -> Walk {
    let mut walker = Walker {
        chains,
        sets,
        packet,
        destination,
        protocol,
        port,
        marked: false,
        way: Vec::new(),
        comment: "",
    };
    let hooks = match (packet.sender, packet.to_node) {
        (Sender::Node, _) => ["source-ranges-output", "nat-output", "filter-output"],
        (_, true) => ["source-ranges-prerouting", "nat-prerouting", "filter-input"],
        (_, false) => [
            "source-ranges-prerouting",
            "nat-prerouting",
            "filter-forward",
        ],
    };
    let end = hooks.into_iter().find_map(|hook| walker.chain(hook).end());
    Walk {
        outcome: end.unwrap_or(Outcome::Passed),
        chains: walker.way,
    }
}

struct Walker<'a> {
    chains: &'a [Chain],
    sets: &'a Sets,
    packet: &'a Packet,
    destination: IpAddr,
    protocol: Protocol,
    port: Port,
    marked: bool,
    way: Vec<&'static str>,
    /// Of the last rule that led on, or ended the way.
    comment: &'static str,
}

/// How a rule, or a chain, is left.
enum Exit {
    NextRule,
    ToCaller,
    End(Outcome),
}

impl Exit {
    fn end(self) -> Option<Outcome> {
        match self {
            Self::End(outcome) => Some(outcome),
            _ => None,
        }
    }
}

impl Walker<'_> {
    /// A base chain may not be there.
    fn chain(&mut self, name: &'static str) -> Exit {
        let chain = self.chains.iter().find(|chain| chain.name == name);
        let Some(chain) = chain else {
            return Exit::NextRule;
        };
        let way = self.way.len();
        self.way.push(name);
        for rule in &chain.rules {
            match self.rule(&rule.statements, rule.comment) {
                Exit::NextRule => {}
                Exit::ToCaller => break,
                end => return end,
            }
        }
        // It came back, and might as well not have been there.
        self.way.truncate(way);
        Exit::NextRule
    }

    fn rule(&mut self, statements: &[Statement], comment: &'static str) -> Exit {
        for statement in statements {
            let holds = match statement {
                Statement::SourceIn { network, negated } => {
                    let within = match self.packet.source {
                        Some(source) => network.contains(&source),
                        // Only pods are told by their address.
                        None => self.packet.sender == Sender::Pod,
                    };
                    within != *negated
                }
                Statement::InterfaceIs { negated, .. } => {
                    (self.packet.sender == Sender::Pod) != *negated
                }
                Statement::DestinationIn { network, negated } => {
                    network.contains(&self.destination) != *negated
                }
                Statement::DestinationIsLocal => self.packet.to_node,
                Statement::SourceIsLocal => self.packet.sender == Sender::Node,
                Statement::ConnectionIsNew => true,
                Statement::ProtocolIs(protocol) => self.protocol == *protocol,
                Statement::MarkHas(_) => self.marked,
                // It opens a connection, and whatever is translated has come to its end.
                Statement::ConnectionIsInvalid
                | Statement::IsTcpReset
                | Statement::IsMidConnection
                | Statement::ConnectionIsTranslated
                | Statement::Remember { .. }
                | Statement::Forget { .. } => false,
                Statement::SetMark(_) => {
                    self.marked = true;
                    true
                }
                Statement::ClearMark(_) => {
                    self.marked = false;
                    true
                }
                Statement::Masquerade => true,
                Statement::InSet { key, set } => self.is_in(key, *set),
                Statement::Translate { key, map } => match self.translate(key, *map) {
                    Some(outcome) => return Exit::End(outcome),
                    None => false,
                },
                Statement::Goto(target) => {
                    self.note(comment);
                    return match self.chain(target) {
                        Exit::End(outcome) => Exit::End(outcome),
                        _ => Exit::ToCaller,
                    };
                }
                Statement::Jump(target) => {
                    self.note(comment);
                    return self.chain(target);
                }
                Statement::Return => return Exit::ToCaller,
                Statement::Drop => {
                    self.note(comment);
                    return Exit::End(Outcome::Dropped(cause(self.comment)));
                }
                Statement::Reset if self.protocol != Protocol::Tcp => false,
                Statement::Reset | Statement::Reject => {
                    self.note(comment);
                    return Exit::End(Outcome::Refused(cause(self.comment)));
                }
            };
            if !holds {
                return Exit::NextRule;
            }
        }
        Exit::NextRule
    }

    fn note(&mut self, comment: &'static str) {
        if !comment.is_empty() {
            self.comment = comment;
        }
    }

    fn is_in(&self, key: &[Selector], set: SetName) -> bool {
        let Some(elements) = self.sets.get(&set) else {
            return false;
        };
        let Some((SetName::AllowedSources, [frontend @ .., _])) = Some((set, key)) else {
            let key = self.key(key);
            return key.is_some_and(|key| elements.contains_key(&key));
        };
        let (Some(source), Some(frontend)) = (self.packet.source, self.key(frontend)) else {
            return true;
        };
        elements.keys().any(|key| {
            let allowed = split_network(key, Family::of(self.destination));
            allowed.is_some_and(|(of, network)| of == frontend && network.contains(&source))
        })
    }

    fn translate(&self, key: &[Selector], map: SetName) -> Option<Outcome> {
        let slots = key.iter().find_map(|selector| match selector {
            Selector::RandomSlot(slots)
            | Selector::ClientSlot(slots)
            | Selector::ConnectionSlot(slots) => Some(*slots),
            _ => None,
        });
        let frontend = match slots {
            Some(_) => self.key(&key[..key.len() - 1])?,
            None => self.key(key)?,
        };
        let elements = self.sets.get(&map)?.range(frontend.clone()..);
        let elements = elements.take_while(|(key, _)| key.0.starts_with(&frontend.0));
        let mut found = BTreeMap::<SocketAddr, usize>::new();
        for (key, value) in elements {
            let is_wanted = match key.0[frontend.0.len()..] {
                [] => slots.is_none(),
                [a, b, c, d] => slots > Some(u32::from_ne_bytes([a, b, c, d])),
                _ => false,
            };
            if let Some(address) = endpoint(value, Family::of(self.destination))
                && is_wanted
            {
                *found.entry(address).or_default() += 1;
            }
        }
        (!found.is_empty()).then(|| Outcome::Translated {
            endpoints: found.into_iter().collect(),
            masquerade: self.marked,
            remembered: map.is_filled_by_packets(),
        })
    }

    /// None where it takes the sender's address, which is not known.
    fn key(&self, selectors: &[Selector]) -> Option<Bytes> {
        selectors.iter().try_fold(Bytes::new(), |key, selector| {
            Some(match selector {
                Selector::SourceAddress => key.address(self.packet.source?),
                Selector::DestinationAddress => key.address(self.destination),
                Selector::Protocol => key.protocol(self.protocol),
                Selector::DestinationPort => key.port(self.port),
                _ => return None,
            })
        })
    }
}
