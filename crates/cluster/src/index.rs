//! Events in, snapshots out. Pure: no I/O, no clock.
//!
//! Objects are converted when they arrive and only small forms are kept. What an event touches is
//! marked; [`Index::update`] rebuilds what is marked and nothing else, and compares it with what
//! is published, so that a change of metadata ends here.

mod converted;
mod ingresses;
mod interner;
mod problems;
mod secrets;
mod services;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::{
    Changes, HostPattern, IngressClaim, Node, ObjectName, RoutePolicies, Snapshot, Trigger, Update,
};
use ipnet::IpNet;

pub(crate) use interner::Interner;

use crate::convert::node::normal_name;
use crate::news::{Accepted, News};
use crate::problem::{Problem, ProblemMetrics};
use crate::tls::Certificates;
use crate::{Event, Kind, Options};
pub(crate) use converted::Converted;
use converted::Form;
use ingresses::Ingresses;
use problems::{Aspect, Problems};
use secrets::Secrets;
use services::Services;

/// Everything known of the cluster, as far as the model needs it.
#[derive(Debug)]
pub(crate) struct Index {
    options: Options,
    /// Kinds whose first list is still to come.
    awaited: BTreeSet<Kind>,
    /// Of them, those that the source may not list, without which half of the work can be done.
    withheld: BTreeSet<Kind>,
    /// What of that the last update knew.
    told_withheld: BTreeSet<Kind>,
    /// The parts so far of lists that are not complete.
    lists: BTreeMap<Kind, Vec<Converted>>,
    names: Interner,
    services: Services,
    ingresses: Ingresses,
    secrets: Secrets,
    own_node: Option<Node>,
    service_cidrs: BTreeMap<Arc<str>, Vec<IpNet>>,
    node_is_dirty: bool,
    problems: Problems,
    snapshot: Snapshot,
    published: bool,
    /// Ingresses that came into force, and nobody was told.
    accepted: Vec<Accepted>,
    /// What caused changes of slices since the last update, with their Services.
    triggers: Vec<(ObjectName, Trigger)>,
}

impl Index {
    pub(crate) fn new(mut options: Options) -> Self {
        options.node_name = normal_name(&options.node_name).into();
        let watched =
            |kind: &Kind| options.ingress || !matches!(kind, Kind::Ingress | Kind::IngressClass);
        Self {
            awaited: Kind::LISTED.into_iter().filter(watched).collect(),
            withheld: BTreeSet::new(),
            told_withheld: BTreeSet::new(),
            lists: BTreeMap::new(),
            names: Interner::default(),
            services: Services::default(),
            ingresses: Ingresses::new(&options),
            secrets: Secrets::new(
                options
                    .default_certificate
                    .clone()
                    .filter(|_| options.ingress),
            ),
            own_node: None,
            service_cidrs: BTreeMap::new(),
            node_is_dirty: true,
            problems: Problems::default(),
            snapshot: Snapshot::default(),
            published: false,
            accepted: Vec::new(),
            triggers: Vec::new(),
            options,
        }
    }

    /// What was asked for, with the node's name as nodes are named.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Counts its problems in `metrics`. Called before the first event.
    pub(crate) fn counting(self, metrics: ProblemMetrics) -> Self {
        Self {
            problems: Problems::counted(metrics),
            ..self
        }
    }

    /// Takes in one step of history. Each object goes as soon as it is converted: a list of them is ten
    /// times as large as what is kept of it.
    pub(crate) fn apply(&mut self, event: Event) {
        let (options, names) = (&self.options, &mut self.names);
        let event = event.filter_map(&mut |object| Converted::new(object, options, names));
        self.take_in(event);
    }

    /// The same, of objects that their source has converted.
    pub(crate) fn take_in(&mut self, event: Event<Converted>) {
        match event {
            Event::Part(kind, objects) => self.lists.entry(kind).or_default().extend(objects),
            Event::Replace(kind, objects) => {
                self.lists.entry(kind).or_default().extend(objects);
                self.replace(kind);
            }
            Event::Void(kind) => drop(self.lists.remove(&kind)),
            // Nothing can be done without Services and their endpoints.
            Event::Withheld(Kind::Service | Kind::EndpointSlice) => {}
            Event::Withheld(kind) => {
                if self.awaited.remove(&kind) {
                    self.withheld.insert(kind);
                }
            }
            Event::Apply(mut object) => {
                let trigger = object.trigger.take();
                // Before, it may have happened long ago.
                self.triggers.extend(trigger.filter(|_| self.published));
                self.take(object);
            }
            Event::Delete(kind, name) => self.delete(kind, &name),
            // Of other kinds all is asked for.
            Event::Unavailable(_, name, why) => self.secrets.unavailable(&name, why),
            Event::Batch(events) => events.into_iter().for_each(|event| self.take_in(event)),
            Event::Problems(part, problems) => self.problems.set(Aspect::Source(part), problems),
        }
    }

    /// Sets other policies for routes.
    pub(crate) fn set_policies(&mut self, policies: RoutePolicies) {
        self.ingresses.set_policies(policies);
    }

    /// Sets what is wrong with Services as aliases of hosts outside of the cluster.
    pub(crate) fn set_external_problems(&mut self, problems: Vec<Problem>) {
        self.problems.set(Aspect::ExternalHosts, problems);
    }

    /// Tells the time in seconds since 1970, by which certificates are judged.
    pub(crate) fn set_now(&mut self, now: i64) {
        self.secrets.set_now(now);
    }

    /// Time has passed: the next update looks at all certificates again.
    pub(crate) fn review_certificates(&mut self) {
        self.secrets.review();
    }

    /// All Secrets that are needed by what was known at the last [`Index::update`], if they are others
    /// than when this was called last.
    pub(crate) fn newly_wanted_secrets(&mut self) -> Option<BTreeSet<ObjectName>> {
        self.secrets.newly_wanted()
    }

    /// What the Secrets gave.
    pub(crate) fn certificates(&self) -> &Certificates {
        self.secrets.certificates()
    }

    /// The new state and how it differs from the last one returned. None while a first list or a first
    /// answer about a Secret is still missing, and when nothing that matters changed.
    pub(crate) fn update(&mut self) -> Option<Update> {
        if !self.awaited.is_empty() {
            return None;
        }
        let mut changes = Changes::default();
        let ingresses = &mut self.ingresses;
        changes.services = self
            .services
            .commit(&mut self.snapshot.services, |service| {
                ingresses.service_changed(service);
            });
        changes.hosts = self.ingresses.commit(
            &mut self.snapshot.routes,
            &self.snapshot.services,
            &mut self.secrets,
            &mut self.problems,
        );
        let (routes, ingresses) = (&self.snapshot.routes, &self.ingresses);
        let renewed = self
            .secrets
            .commit(&changes.hosts, routes, ingresses, &mut self.problems);
        changes.tls = renewed.hosts;
        changes.default_certificate = renewed.default;
        changes.node = self.commit_node();
        let accepted = self.ingresses.take_accepted();
        if self.published {
            // What was there before us was told before us.
            self.accepted.extend(accepted);
        }
        if !self.published && !self.secrets.is_answered() {
            return None;
        }
        changes.triggers = std::mem::take(&mut self.triggers)
            .into_iter()
            .filter(|(service, _)| changes.services.contains(service))
            .map(|(_, trigger)| trigger)
            .collect();
        if !self.published {
            self.published = true;
            changes = Changes::everything(&self.snapshot);
        }
        let news = self.told_withheld != self.withheld;
        self.told_withheld.clone_from(&self.withheld);
        (news || !changes.is_empty()).then(|| Update {
            snapshot: Arc::new(self.snapshot.clone()),
            changes,
        })
    }

    /// All that is wrong right now, sorted by object.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// What all Ingresses ask for these hosts, oldest first.
    pub(crate) fn claims_on(&self, hosts: &[HostPattern]) -> Vec<IngressClaim> {
        self.ingresses.claims_on(hosts)
    }

    /// Problems that came up since this was last asked for, and were logged; and Ingresses that came
    /// into force.
    pub(crate) fn take_news(&mut self) -> impl Iterator<Item = News> {
        let problems = self.problems.take_news();
        let accepted = std::mem::take(&mut self.accepted);
        let problems = self.told_to_owners(problems, &accepted);
        problems
            .into_iter()
            .chain(accepted.into_iter().map(News::Accepted))
    }

    /// A list is complete: it takes the place of all that was known of the kind.
    fn replace(&mut self, kind: Kind) {
        let mut listed = BTreeSet::new();
        for converted in self.lists.remove(&kind).unwrap_or_default() {
            listed.insert(converted.name.clone());
            self.take(converted);
        }
        let known = match kind {
            Kind::Service => self.services.names(&self.snapshot.services),
            Kind::EndpointSlice => self.services.slice_names(),
            Kind::Ingress => self.ingresses.names(),
            Kind::IngressClass => self.ingresses.class_names(),
            Kind::ServiceCidr => {
                let names = self.service_cidrs.keys();
                names
                    .map(|name| ObjectName::new("", name.clone()))
                    .collect()
            }
            Kind::Secret => {
                self.secrets.complete();
                self.secrets.names()
            }
            Kind::Node => vec![ObjectName::new("", self.options.node_name.clone())],
        };
        for name in known.iter().filter(|name| !listed.contains(name)) {
            self.delete(kind, name);
        }
        self.awaited.remove(&kind);
        self.withheld.remove(&kind);
    }

    /// Kinds that the source may not list.
    pub(crate) fn withheld(&self) -> &BTreeSet<Kind> {
        &self.withheld
    }

    fn take(&mut self, converted: Converted) {
        let Converted {
            kind,
            name,
            form,
            problems,
            ..
        } = converted;
        match form {
            Form::Service(service) => self.services.apply_service(&name, service),
            Form::EndpointSlice(Some((service, slice))) => {
                self.services.apply_slice(&name, service, slice);
            }
            Form::EndpointSlice(None) => self.services.delete_slice(&name),
            // Reported when and if it turns out to be ours.
            Form::Ingress(ingress) => return self.ingresses.apply(&name, ingress),
            Form::IngressClass { ours } => self.ingresses.apply_class(&name, ours),
            Form::OwnNode(node) => {
                self.own_node = Some(*node);
                self.node_is_dirty = true;
            }
            Form::OtherNode => return,
            Form::ServiceCidr(ranges) => {
                self.service_cidrs.insert(name.name.clone(), ranges);
                self.node_is_dirty = true;
            }
            // Reported when and if somebody needs it.
            Form::Secret(secret) => return self.secrets.apply(&secret, &name),
        }
        self.problems.set(Aspect::Object(kind, name), problems);
    }

    fn delete(&mut self, kind: Kind, name: &ObjectName) {
        match kind {
            Kind::Service => self.services.delete_service(name),
            Kind::EndpointSlice => self.services.delete_slice(name),
            Kind::Ingress => self.ingresses.delete(name),
            Kind::IngressClass => self.ingresses.delete_class(name),
            Kind::Node => {
                if normal_name(&name.name) == *self.options.node_name {
                    self.own_node = None;
                    self.node_is_dirty = true;
                }
            }
            Kind::ServiceCidr => {
                self.service_cidrs.remove(&name.name);
                self.node_is_dirty = true;
            }
            Kind::Secret => return self.secrets.delete(name),
        }
        self.problems
            .set(Aspect::Object(kind, name.clone()), Vec::new());
    }

    /// Whether the node's facts changed.
    fn commit_node(&mut self) -> bool {
        if !std::mem::take(&mut self.node_is_dirty) {
            return false;
        }
        let mut node = self.own_node.clone().unwrap_or_default();
        node.name = self.options.node_name.clone();
        node.service_cidrs = self.service_cidrs.values().flatten().copied().collect();
        node.service_cidrs.sort_unstable();
        node.service_cidrs.dedup();
        let changed = *self.snapshot.node != node;
        if changed {
            self.snapshot.node = Arc::new(node);
        }
        changed
    }
}

#[cfg(test)]
mod tests;
