//! From what elements of the kernel have counted to totals that never go back: elements go with their
//! endpoint, and begin again when the table was made anew.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use fairway_admin::{ConnectionMetrics, EndpointLabels, ServiceLabels};
use fairway_model::ObjectName;
use fairway_plan::{Bytes, Counter, Family, SetName};
use prometheus_client::metrics::counter;

use super::InKernel;

#[cfg(test)]
mod tests;

/// How many series each of the two metrics has at most, beside the one of all others: what comes last
/// is counted there. Prometheus takes as many from one target without trouble, and a node whose
/// clients use more endpoints than that is looked at by Service.
const SERIES: usize = 10_000;

pub(super) struct Ledger {
    metrics: ConnectionMetrics,
    elements: HashMap<Key, Entry>,
    /// The elements of each Service, by family.
    of_service: HashMap<ObjectName, [Vec<Key>; 2]>,
    endpoints: HashMap<Target, Endpoint>,
    /// Those that got connections.
    ports: BTreeMap<(ObjectName, Arc<str>), counter::Counter>,
    /// Endpoints that have a series of their own.
    shown: usize,
    series: usize,
    /// Readings that have begun.
    readings: u64,
}

/// What is known of a Service in one family.
pub(super) struct Known {
    pub(super) service: ObjectName,
    /// The names of its ports; None if there is no such Service any more.
    pub(super) ports: Option<Vec<Arc<str>>>,
    pub(super) counters: Vec<Counter>,
}

type Key = (Family, SetName, Bytes);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Target {
    service: ObjectName,
    port: Arc<str>,
    endpoint: SocketAddr,
}

struct Entry {
    target: Target,
    /// What it had counted when it was read last; None until it was, if it may have been there before.
    last: Option<u64>,
    /// Readings up to this one, some of which may go on, are too old to say anything.
    as_of: u64,
}

#[derive(Default)]
struct Endpoint {
    /// The elements that count for it.
    elements: usize,
    /// Its own series, once it had a connection while there was room.
    counter: Option<counter::Counter>,
}

impl Ledger {
    pub(super) fn new(metrics: ConnectionMetrics) -> Self {
        Self {
            metrics,
            elements: HashMap::new(),
            of_service: HashMap::new(),
            endpoints: HashMap::new(),
            ports: BTreeMap::new(),
            shown: 0,
            series: SERIES,
            readings: 0,
        }
    }

    /// Whether there is anything to read.
    pub(super) fn knows(&self, family: Family) -> bool {
        let mut services = self.of_service.values();
        services.any(|keys| !keys[index(family)].is_empty())
    }

    /// Takes over which elements there are. What is new comes first: an element may pass from one
    /// Service to another, and goes on counting.
    pub(super) fn follow(&mut self, family: Family, planned: Vec<Known>, in_kernel: InKernel) {
        let mut before = Vec::new();
        for Known {
            service,
            ports,
            counters,
        } in planned
        {
            self.retain_ports(&service, ports.as_deref().unwrap_or_default());
            let mut keys = Vec::with_capacity(counters.len());
            for Counter {
                element,
                port,
                endpoint,
            } in counters
            {
                let key = (family, element.set, element.key);
                let service = service.clone();
                let target = Target {
                    service,
                    port,
                    endpoint,
                };
                self.add(key.clone(), target, in_kernel);
                keys.push(key);
            }
            let of_service = self.of_service.entry(service.clone()).or_default();
            let gone = std::mem::replace(&mut of_service[index(family)], keys);
            if of_service.iter().all(Vec::is_empty) {
                self.of_service.remove(&service);
            }
            before.push((service, gone));
        }
        for (service, gone) in before {
            let of_service = self.of_service.get(&service);
            let kept = of_service.map_or(&[][..], |keys| &keys[index(family)]);
            let kept: HashSet<_> = kept.iter().cloned().collect();
            for key in gone.iter().filter(|key| !kept.contains(key)) {
                let of_service = |entry: &Entry| entry.target.service == service;
                if self.elements.get(key).is_some_and(of_service)
                    && let Some(entry) = self.elements.remove(key)
                {
                    self.leave(&entry.target);
                }
            }
        }
    }

    fn add(&mut self, key: Key, target: Target, in_kernel: InKernel) {
        if let Some(entry) = self.elements.get_mut(&key) {
            if entry.target != target {
                let before = std::mem::replace(&mut entry.target, target.clone());
                self.endpoints.entry(target).or_default().elements += 1;
                self.leave(&before);
            }
            return;
        }
        self.endpoints.entry(target.clone()).or_default().elements += 1;
        let entry = Entry {
            target,
            last: (in_kernel == InKernel::Yes).then_some(0),
            as_of: self.readings,
        };
        self.elements.insert(key, entry);
    }

    /// An element less counts for the endpoint.
    fn leave(&mut self, target: &Target) {
        let Some(endpoint) = self.endpoints.get_mut(target) else {
            return;
        };
        endpoint.elements -= 1;
        if endpoint.elements > 0 {
            return;
        }
        if endpoint.counter.is_some() {
            self.shown -= 1;
            self.metrics.remove_endpoint(&target.labels());
        }
        self.endpoints.remove(target);
    }

    /// Totals of a port outlive its endpoints, not itself.
    fn retain_ports(&mut self, service: &ObjectName, ports: &[Arc<str>]) {
        let from = (service.clone(), Arc::from(""));
        let known = self.ports.range(from..).map(|(key, _)| key);
        let known = known.take_while(|(of, _)| of == service);
        let gone: Vec<_> = known.filter(|(_, port)| !ports.contains(port)).collect();
        for key in gone.into_iter().cloned().collect::<Vec<_>>() {
            self.metrics.remove_service(&labels(&key.0, &key.1));
            self.ports.remove(&key);
        }
    }

    /// The number of a reading that is about to begin.
    pub(super) fn begin_reading(&mut self) -> u64 {
        self.readings += 1;
        self.readings
    }

    /// Takes in what has been read.
    pub(super) fn take(
        &mut self,
        reading: u64,
        family: Family,
        set: SetName,
        counters: Vec<(Bytes, u64)>,
    ) {
        for (key, counted) in counters {
            let Some(entry) = self.elements.get_mut(&(family, set, key)) else {
                continue;
            };
            if reading <= entry.as_of {
                continue;
            }
            entry.as_of = reading;
            let more = match entry.last.replace(counted) {
                Some(last) => counted.checked_sub(last).unwrap_or(counted),
                None => 0,
            };
            if more > 0 {
                let target = entry.target.clone();
                self.count(&target, more);
            }
        }
    }

    /// Elements that have not been read are not in the kernel yet.
    pub(super) fn all_is_known(&mut self, family: Family) {
        let elements = self.elements.iter_mut();
        for (_, entry) in elements.filter(|((of, ..), _)| *of == family) {
            entry.last.get_or_insert(0);
        }
    }

    fn count(&mut self, target: &Target, more: u64) {
        let port = (target.service.clone(), target.port.clone());
        let has_room = self.ports.len() < self.series;
        match self.ports.get(&port) {
            Some(counter) => counter.inc_by(more),
            None if has_room => {
                let counter = self.metrics.service(&labels(&port.0, &port.1));
                let counter = self.ports.entry(port).or_insert(counter);
                counter.inc_by(more)
            }
            None => self.metrics.service(&ServiceLabels::other()).inc_by(more),
        };
        let has_room = self.shown < self.series;
        let Some(endpoint) = self.endpoints.get_mut(target) else {
            return;
        };
        match &endpoint.counter {
            Some(counter) => counter.inc_by(more),
            None if has_room => {
                self.shown += 1;
                let counter = self.metrics.endpoint(&target.labels());
                endpoint.counter.insert(counter).inc_by(more)
            }
            None => self.metrics.endpoint(&EndpointLabels::other()).inc_by(more),
        };
    }
}

impl Target {
    fn labels(&self) -> EndpointLabels {
        let ServiceLabels {
            namespace,
            service,
            port,
        } = labels(&self.service, &self.port);
        EndpointLabels {
            namespace,
            service,
            port,
            endpoint: self.endpoint.to_string(),
        }
    }
}

fn labels(service: &ObjectName, port: &str) -> ServiceLabels {
    ServiceLabels {
        namespace: service.namespace.to_string(),
        service: service.name.to_string(),
        port: port.to_owned(),
    }
}

fn index(family: Family) -> usize {
    match family {
        Family::Ip4 => 0,
        Family::Ip6 => 1,
    }
}
