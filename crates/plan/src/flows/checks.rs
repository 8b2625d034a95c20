use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_model::Protocol;

use super::changes::{Answerers, FlowChanges};
use super::{Flow, FlowFilter, NodePortDestination, Verdict};
use crate::frontend::Frontend;

/// How often the flows of a frontend are looked through after a change. A packet that met the rules
/// before the change may enter its flow after the kernel has listed that part of its table, and
/// so may a flow that the table moved while it grew. The second look is for those.
const ROUNDS: u8 = 2;

/// What an endpoint that was just taken out still answers needs its flow to find back to the client.
/// Until then the flow stays, and the client at an endpoint that lives on.
const GRACE: Duration = Duration::from_secs(1);

/// Looking at the flows of one port takes the kernel a walk over all of them; from here on one walk that
/// lists every port is cheaper.
const SINGLE_PORTS: usize = 4;

/// The frontends whose flows are being looked at.
///
/// What it says must never be older than what the kernel's rules are, or it would condemn flows to
/// endpoints that are new. So a change is announced by [`hold`](Self::hold) before it is committed
/// and takes effect by [`check`](Self::check) afterwards.
#[derive(Clone, Debug, Default)]
pub struct FlowChecks {
    checks: HashMap<Frontend, Check>,
    scope: Arc<NodePortDestination>,
}

#[derive(Clone, Debug)]
struct Check {
    answerers: Answerers,
    /// Who no longer answers, and until when it is waited for what they have answered already.
    gone: Vec<(SocketAddr, Instant)>,
    rounds: u8,
    held: bool,
}

/// One look at all flows of some frontends.
#[derive(Clone, Debug)]
pub struct Round(Vec<(Frontend, Answerers)>);

impl FlowChecks {
    /// Whether there is something to look at now.
    pub fn is_due(&self) -> bool {
        self.checks.values().any(|check| !check.held)
    }

    /// Where node ports are served.
    pub fn scope(&self) -> Arc<NodePortDestination> {
        self.scope.clone()
    }

    /// Leaves the flows of these frontends alone until [`check`](Self::check) or [`forget`](Self::forget).
    pub fn hold(&mut self, changes: &FlowChanges) {
        for frontend in changes.frontends.keys() {
            if let Some(check) = self.checks.get_mut(frontend) {
                check.held = true;
            }
        }
    }

    /// The rules are in the kernel: looks for flows that they leave behind. Returns whether there is
    /// something new to look for.
    pub fn check(&mut self, changes: FlowChanges, now: Instant) -> bool {
        let mut news = false;
        for (frontend, change) in changes.frontends {
            if !change.leaves_stale && !self.checks.contains_key(&frontend) {
                continue;
            }
            news = true;
            let before = self.checks.remove(&frontend);
            let mut gone = before.map(|check| check.gone).unwrap_or_default();
            gone.retain(|(_, until)| *until > now);
            gone.extend(change.gone.into_iter().map(|it| (it, now + GRACE)));
            let check = Check {
                answerers: change.answerers,
                gone,
                rounds: ROUNDS,
                held: false,
            };
            self.checks.insert(frontend, check);
        }
        self.scope = changes.scope;
        news
    }

    /// Nobody knows what the kernel has: stops looking at these frontends.
    pub fn forget(&mut self, changes: &FlowChanges) {
        for frontend in changes.frontends.keys() {
            self.checks.remove(frontend);
        }
    }

    /// What is to be done with a flow.
    pub fn verdict(&self, flow: &Flow, now: Instant) -> Verdict {
        let (protocol, destination) = (flow.protocol, flow.destination);
        let Some(port) = fairway_model::Port::new(destination.port()) else {
            return Verdict::Keep;
        };
        let address = Frontend::Address(destination.ip(), protocol, port);
        let (check, stale) = match self.checks.get(&address) {
            Some(check) => (check, Verdict::Stale),
            None => match self.checks.get(&Frontend::NodePort(protocol, port)) {
                Some(check) => (check, Verdict::StaleOnNodePort),
                None => return Verdict::Keep,
            },
        };
        match check.is_stale(flow, now) {
            true => stale,
            false => Verdict::Keep,
        }
    }

    /// Begins a look at what is to be looked at now.
    pub fn round(&self) -> Round {
        let due = self.checks.iter().filter(|(_, check)| !check.held);
        Round(
            due.map(|(frontend, check)| (*frontend, check.answerers.clone()))
                .collect(),
        )
    }

    /// Ends a look that went over all flows. What changed meanwhile will be looked at anew.
    pub fn finish(&mut self, round: &Round) {
        for (frontend, answerers) in &round.0 {
            let Some(check) = self.checks.get_mut(frontend) else {
                continue;
            };
            if check.held || !Arc::ptr_eq(&check.answerers, answerers) {
                continue;
            }
            check.rounds -= 1;
            if check.rounds == 0 {
                self.checks.remove(frontend);
            }
        }
        if self.checks.is_empty() {
            // A start looks at every Service.
            self.checks.shrink_to_fit();
        }
    }
}

impl Check {
    /// Without endpoints only what is translated is stale: to nobody is where everything else should go,
    /// and what is no Service's any more may be somebody else's.
    fn is_stale(&self, flow: &Flow, now: Instant) -> bool {
        let may_be = match flow.protocol {
            Protocol::Tcp => flow.translated,
            _ => flow.translated || !self.answerers.is_empty(),
        };
        let answers = || self.answerers.binary_search(&flow.answered_from).is_ok();
        let answered = |(who, until): &(SocketAddr, Instant)| {
            *who == flow.answered_from && now < *until && flow.protocol != Protocol::Tcp
        };
        may_be && !self.held && !answers() && !self.gone.iter().any(answered)
    }
}

impl Round {
    /// What to ask the kernel for.
    pub fn filters(&self) -> Vec<FlowFilter> {
        let mut ports = BTreeSet::new();
        for (frontend, _) in &self.0 {
            ports.insert(FlowFilter {
                protocol: frontend.protocol(),
                port: Some(frontend.port()),
            });
        }
        if ports.len() <= SINGLE_PORTS {
            return ports.into_iter().collect();
        }
        let all = ports.into_iter().map(|filter| FlowFilter {
            port: None,
            ..filter
        });
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }
}
