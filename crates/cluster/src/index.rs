//! Events in, snapshots out. Pure: no I/O, no clock.
//!
//! Objects are converted when they arrive and only small forms are kept. What an event touches is
//! marked; [`Index::update`] rebuilds what is marked and nothing else, and compares it with what
//! is published, so that a change of metadata ends here.

mod ingresses;
mod interner;
mod problems;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::{Changes, Node, ObjectName, Snapshot, Trigger, Update};
use ipnet::IpNet;

pub(crate) use interner::Interner;

use crate::convert::node::{node, normal_name, service_cidrs};
use crate::convert::object_name;
use crate::convert::trigger::trigger;
use crate::problem::{Problem, Report};
use crate::{Event, Kind, Object, Options};
use ingresses::Ingresses;
use problems::{Aspect, Problems};
use services::Services;

/// Everything known of the cluster, as far as the model needs it.
#[derive(Debug)]
pub(crate) struct Index {
    options: Options,
    /// Kinds whose first list is still to come.
    awaited: BTreeSet<Kind>,
    names: Interner,
    services: Services,
    ingresses: Ingresses,
    own_node: Option<Node>,
    service_cidrs: BTreeMap<Arc<str>, Vec<IpNet>>,
    node_is_dirty: bool,
    problems: Problems,
    snapshot: Snapshot,
    published: bool,
    /// What caused changes of slices since the last update, with their Services.
    triggers: Vec<(ObjectName, Trigger)>,
}

impl Index {
    pub(crate) fn new(mut options: Options) -> Self {
        options.node_name = normal_name(&options.node_name).into();
        let watched =
            |kind: &Kind| options.ingress || !matches!(kind, Kind::Ingress | Kind::IngressClass);
        Self {
            awaited: Kind::ALL.into_iter().filter(watched).collect(),
            names: Interner::default(),
            services: Services::default(),
            ingresses: Ingresses::new(&options),
            own_node: None,
            service_cidrs: BTreeMap::new(),
            node_is_dirty: true,
            problems: Problems::default(),
            snapshot: Snapshot::default(),
            published: false,
            triggers: Vec::new(),
            options,
        }
    }

    /// Takes in one step of history.
    pub(crate) fn apply(&mut self, event: Event) {
        match event {
            Event::Replace(kind, objects) => self.replace(kind, objects),
            Event::Apply(object) => {
                self.note_trigger(&object);
                self.apply_object(&object);
            }
            Event::Delete(kind, name) => self.delete(kind, &name),
            Event::Batch(events) => events.into_iter().for_each(|event| self.apply(event)),
            Event::Problems(part, problems) => self.problems.set(Aspect::Source(part), problems),
        }
    }

    /// The new state and how it differs from the last one returned. None while a first list is
    /// still missing, and when nothing that matters changed.
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
            &mut self.problems,
        );
        changes.node = self.commit_node();
        changes.triggers = std::mem::take(&mut self.triggers)
            .into_iter()
            .filter(|(service, _)| changes.services.contains(service))
            .map(|(_, trigger)| trigger)
            .collect();
        if !self.published {
            self.published = true;
            changes = Changes::everything(&self.snapshot);
        }
        (!changes.is_empty()).then(|| Update {
            snapshot: Arc::new(self.snapshot.clone()),
            changes,
        })
    }

    /// Lists are not measured: what is in them may have changed long ago.
    fn note_trigger(&mut self, object: &Object) {
        if let Object::EndpointSlice(slice) = object
            && self.published
        {
            self.triggers.extend(trigger(slice));
        }
    }

    /// All that is wrong right now, sorted by object.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// Problems that came up since this was last asked for, and were logged.
    pub(crate) fn take_news(&mut self) -> Vec<Problem> {
        self.problems.take_news()
    }

    fn replace(&mut self, kind: Kind, objects: Vec<Object>) {
        let mut listed = BTreeSet::new();
        for object in &objects {
            debug_assert_eq!(object.kind(), kind, "a list holds one kind");
            listed.extend(self.apply_object(object));
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
            Kind::Node => vec![ObjectName::new("", self.options.node_name.clone())],
        };
        for name in known.iter().filter(|name| !listed.contains(name)) {
            self.delete(kind, name);
        }
        self.awaited.remove(&kind);
    }

    /// Returns the object's name.
    fn apply_object(&mut self, object: &Object) -> Option<ObjectName> {
        let names = &mut self.names;
        let metadata = match object {
            Object::Service(object) => &object.metadata,
            Object::EndpointSlice(object) => &object.metadata,
            Object::Ingress(object) => &object.metadata,
            Object::IngressClass(object) => &object.metadata,
            Object::Node(object) => &object.metadata,
            Object::ServiceCidr(object) => &object.metadata,
        };
        let mut name = object_name(metadata, names)?;
        let mut report = Report::new(object.kind().as_str(), name.clone());
        match object {
            Object::Service(object) => {
                self.services
                    .apply_service(object, &name, names, &mut report);
            }
            Object::EndpointSlice(object) => {
                self.services.apply_slice(object, &name, names, &mut report);
            }
            // Reported when and if it turns out to be ours.
            Object::Ingress(object) => {
                self.ingresses.apply(object, &name, names);
                return Some(name);
            }
            Object::IngressClass(object) => self.ingresses.apply_class(object, &name),
            Object::Node(object) => {
                if normal_name(&name.name) != *self.options.node_name {
                    return Some(name);
                }
                name.name = self.options.node_name.clone();
                self.own_node = Some(node(object, &self.options.node_name, &mut report));
                self.node_is_dirty = true;
            }
            Object::ServiceCidr(object) => {
                let ranges = service_cidrs(object, &mut report);
                self.service_cidrs.insert(name.name.clone(), ranges);
                self.node_is_dirty = true;
            }
        }
        let aspect = Aspect::Object(object.kind(), name.clone());
        self.problems.set(aspect, report.finish());
        Some(name)
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
