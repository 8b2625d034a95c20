//! The way of a packet: frontend, policy, endpoints, kernel.

mod kernel;
mod strangers;

use std::net::{IpAddr, SocketAddr};

use fairway_model::{Affinity, Balance, Port, Protocol, Service, TrafficPolicy};
use fairway_plan::{
    Access, Candidate, Cause, Family, NodePortScope, Outcome as End, Packet as Sent, Scene, Sender,
    Walk,
};

use crate::endpoints::{Use, describe, percent};
use crate::http::sender;
use crate::question::Question;
use crate::{Answer, Explanation, Frontend, Outcome, Packet, Way, World};

pub(crate) fn explain(
    world: &World,
    question: &Question,
    target: (IpAddr, Protocol, Port),
) -> Explanation {
    let (address, protocol, port) = target;
    let mut explanation = Explanation {
        question: question.text.clone(),
        node: world.snapshot.node.name.to_string(),
        ..Explanation::default()
    };
    let Some(options) = &world.service_proxy else {
        explanation.answer.summary =
            "this agent programs no Services (--service-proxy=false)".to_owned();
        return explanation;
    };
    let scene = Scene::new(options, &world.snapshot, target);
    let subject = Subject {
        world,
        scene: &scene,
        target,
    };
    let ways = subject.ways(question.from);
    let owner = subject.owner();
    let mut packet = Packet {
        address: SocketAddr::new(address, port.get()).to_string(),
        protocol: protocol.to_string(),
        frontend: owner.map(|owner| subject.frontend(owner)),
        rivals: subject.rivals(),
        endpoints: owner
            .map(|owner| subject.endpoints(owner, &ways))
            .unwrap_or_default(),
        notes: owner.map(|owner| subject.notes(owner)).unwrap_or_default(),
        ways: ways
            .iter()
            .map(|(senders, walk)| subject.way(senders, walk))
            .collect(),
        kernel: None,
    };
    if let Some(facts) = &world.kernel {
        let senders = ways.iter().filter_map(|(senders, _)| senders.first());
        let senders: Vec<_> = senders
            .map(|sender| subject.sent(*sender, question.from))
            .collect();
        packet.kernel = Some(kernel::compare(&scene, facts, &senders));
    }
    explanation.answer = subject.answer(&packet);
    explanation.packet = Some(packet);
    explanation
}

/// What is asked about, and what is planned for it.
struct Subject<'a> {
    world: &'a World,
    scene: &'a Scene,
    target: (IpAddr, Protocol, Port),
}

impl Subject<'_> {
    /// The Service that packets are for: node ports only count for addresses that serve them, which shows
    /// in what becomes of packets.
    fn owner(&self) -> Option<&Candidate> {
        let by_address = |it: &&Candidate| it.access != Access::NodePort;
        let mut owners = self.scene.candidates().iter().filter(|it| it.owns);
        let addressed = owners.clone().find(by_address);
        addressed.or_else(|| owners.next().filter(|_| self.serves_node_ports()))
    }

    fn serves_node_ports(&self) -> bool {
        let (address, ..) = self.target;
        match self.node_port_scope() {
            NodePortScope::Everywhere => self.world.is_of_node(address) && !address.is_loopback(),
            NodePortScope::Address(served) => served == address,
            NodePortScope::Within(networks) => {
                let within = networks.iter().any(|network| network.contains(&address));
                self.world.is_of_node(address) && within && !address.is_loopback()
            }
        }
    }

    fn node_port_scope(&self) -> NodePortScope {
        let options = self.world.service_proxy.as_ref();
        let addresses = options.map(|options| options.node_port_addresses.clone());
        let addresses = addresses.unwrap_or(fairway_plan::NodePortAddresses::Primary(None));
        NodePortScope::new(self.scene.family(), &addresses, &self.world.snapshot.node)
    }

    fn sent(&self, sender: Sender, source: Option<IpAddr>) -> Sent {
        Sent {
            sender,
            source: source.filter(|source| Family::of(*source) == self.scene.family()),
            to_node: self.world.is_of_node(self.target.0),
        }
    }

    /// What becomes of packets, with the senders whose packets fare alike.
    fn ways(&self, from: Option<IpAddr>) -> Vec<(Vec<Sender>, Walk)> {
        let senders = match from {
            Some(from) => vec![self.world.sender(from)],
            None => vec![Sender::Outside, Sender::Pod, Sender::Node],
        };
        let mut ways: Vec<(Vec<Sender>, Walk)> = Vec::new();
        for sender in senders {
            let walk = self.scene.walk(&self.sent(sender, from));
            match ways
                .iter_mut()
                .find(|(_, other)| other.outcome == walk.outcome)
            {
                Some((senders, _)) => senders.push(sender),
                None => ways.push((vec![sender], walk)),
            }
        }
        ways
    }

    fn way(&self, senders: &[Sender], walk: &Walk) -> Way {
        let mut way = Way {
            from: senders.iter().map(|it| sender(*it).to_owned()).collect(),
            chains: walk
                .chains
                .iter()
                .map(|chain| (*chain).to_owned())
                .collect(),
            ..Way::default()
        };
        match &walk.outcome {
            End::Translated {
                endpoints,
                masquerade,
                remembered,
            } => {
                way.outcome = Outcome::Forwarded;
                way.endpoints = endpoints
                    .iter()
                    .map(|(address, _)| address.to_string())
                    .collect();
                way.masqueraded = *masquerade;
                let count = endpoints.len();
                way.summary = match (remembered, count) {
                    (true, _) => format!(
                        "to {}, where this client went before",
                        way.endpoints.join(", ")
                    ),
                    (false, 1) => format!("to {}", way.endpoints.join(", ")),
                    (false, 2) => format!("to {}", way.endpoints.join(" or ")),
                    (false, _) => format!("to one of {count} endpoints"),
                };
                way.summary.push_str(match masquerade {
                    true => "; the source becomes this node (masquerade)",
                    false => "; the source stays",
                });
            }
            End::Dropped(cause) => {
                way.outcome = Outcome::Dropped;
                way.summary = format!("dropped, because {}", self.because(*cause));
            }
            End::Refused(cause) => {
                let (_, protocol, _) = self.target;
                let how = match protocol {
                    Protocol::Tcp => "a TCP reset",
                    _ => "ICMP port unreachable",
                };
                way.outcome = Outcome::Refused;
                way.summary = format!("refused with {how}, because {}", self.because(*cause));
            }
            End::Passed => way.summary = "left alone: no Service concerns it".to_owned(),
        }
        way
    }

    fn because(&self, cause: Option<Cause>) -> String {
        match cause {
            None => "by a rule".to_owned(),
            Some(Cause::NoEndpoints) => "no endpoint could answer".to_owned(),
            Some(Cause::NoLocalEndpoints) => {
                "no endpoint is on this node, and the traffic policy is Local".to_owned()
            }
            Some(Cause::NotInSourceRange) => {
                "the sender is in none of spec.loadBalancerSourceRanges".to_owned()
            }
            Some(Cause::NoSuchService) => {
                "the address is in a ServiceCIDR, and no Service has it".to_owned()
            }
            Some(Cause::NoSuchPort) => {
                let (_, protocol, port) = self.target;
                format!("the ClusterIP has no port {port}/{protocol}")
            }
        }
    }

    fn frontend(&self, owner: &Candidate) -> Frontend {
        let Service {
            internal_policy,
            external_policy,
            ..
        } = &*owner.service;
        let (_, protocol, _) = self.target;
        let (kind, policy) = match owner.access {
            Access::ClusterIp => ("ClusterIP", internal_policy),
            Access::NodePort => ("node port", external_policy),
            Access::LoadBalancer => ("load balancer's address", external_policy),
            Access::ExternalIp => ("external IP", external_policy),
        };
        let port = owner.service_port(protocol);
        Frontend {
            service: owner.service.name.to_string(),
            kind: kind.to_owned(),
            port: port.map(crate::http::name_of_port).unwrap_or_default(),
            policy: match policy {
                TrafficPolicy::Cluster => "Cluster",
                TrafficPolicy::Local => "Local",
            }
            .to_owned(),
        }
    }

    fn rivals(&self) -> Vec<crate::Candidate> {
        let losers = self.scene.candidates().iter().filter(|it| !it.owns);
        losers
            .map(|loser| crate::Candidate {
                service: loser.service.name.to_string(),
                field: loser.access.field().to_owned(),
                why: "an older Service has it".to_owned(),
            })
            .collect()
    }

    fn notes(&self, owner: &Candidate) -> Vec<String> {
        let service = &owner.service;
        let mut notes = Vec::new();
        if owner.access == Access::LoadBalancer && !service.source_ranges.is_empty() {
            let ranges: Vec<_> = service
                .source_ranges
                .iter()
                .map(ToString::to_string)
                .collect();
            notes.push(format!("only senders in {} are let in", ranges.join(", ")));
        }
        if let Affinity::ClientIp { timeout_seconds } = service.affinity {
            notes.push(format!(
                "a client stays with its endpoint until it has been idle for {timeout_seconds} s (sessionAffinity)"
            ));
        }
        match service.balance {
            Balance::Random => {}
            Balance::Maglev => {
                notes.push("the client's address decides the endpoint (Maglev)".to_owned())
            }
            Balance::MaglevConnection => {
                notes.push("the client's address and port decide the endpoint (Maglev)".to_owned());
            }
        }
        if let (Some(port), Access::LoadBalancer | Access::NodePort) =
            (service.health_check_node_port, owner.access)
        {
            notes.push(format!(
                "balancers ask for this node's health on node port {port}"
            ));
        }
        notes
    }

    /// As they are used for the first kind of sender.
    fn endpoints(&self, owner: &Candidate, ways: &[(Vec<Sender>, Walk)]) -> Vec<crate::Endpoint> {
        let (_, protocol, _) = self.target;
        let service = &owner.service;
        let policy = match owner.access {
            Access::ClusterIp => service.internal_policy,
            _ => service.external_policy,
        };
        let first = ways.first().and_then(|(senders, _)| senders.first());
        // Whether it is let in is not about endpoints.
        let first = first.map(|sender| self.scene.walk(&self.sent(*sender, None)).outcome);
        let used = match &first {
            Some(End::Translated { endpoints, .. }) => endpoints.as_slice(),
            _ => &[],
        };
        let total = used.iter().map(|(_, slots)| slots).sum();
        let slots = |address| {
            let found = used.iter().find(|(it, _)| *it == address);
            found.map(|(_, slots)| percent(*slots, total))
        };
        let all = owner.service_port(protocol);
        let all = all.map_or(&[][..], |port| &port.endpoints);
        all.iter()
            .map(|endpoint| {
                let share = slots(endpoint.socket_address());
                let how = Use {
                    used: share.is_some(),
                    share,
                    in_reserve: false,
                    other_family: Family::of(endpoint.address) != self.scene.family(),
                    other_node: policy == TrafficPolicy::Local
                        && !endpoint.is_on(&self.world.snapshot.node.name),
                };
                describe(endpoint, &service.weights, how)
            })
            .collect()
    }

    fn answer(&self, packet: &Packet) -> Answer {
        let first = packet.ways.first().cloned().unwrap_or_default();
        if first.outcome == Outcome::NotOurs {
            return strangers::answer(self.world, self.target, &self.node_port_scope());
        }
        let mut answer = Answer {
            outcome: first.outcome,
            status: None,
            summary: match &packet.frontend {
                Some(Frontend {
                    service,
                    kind,
                    port,
                    ..
                }) => {
                    format!(
                        "{kind} of Service {service}, port {port}: {}",
                        first.summary
                    )
                }
                None => first.summary,
            },
            advice: Vec::new(),
        };
        let services = self.scene.services_of_address();
        if packet.frontend.is_none() {
            for name in services {
                let service = self.world.snapshot.services.get(name);
                let ports = service.into_iter().flat_map(|service| &service.ports);
                let ports: Vec<_> = ports.map(crate::http::name_of_port).collect();
                answer
                    .advice
                    .push(format!("Service {name} has {}", ports.join(", ")));
            }
        }
        answer
    }
}
