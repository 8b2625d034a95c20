//! Which Ingresses say something else than they should. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::ObjectName;

use super::address::{of_ingress, of_node, of_service, sorted};
use super::{Publish, StatusAddress, manager};
use crate::classes::Classes;
use crate::convert::ingress::{Class, class};
use crate::convert::object_name;
use crate::index::Interner;
use crate::{Event, Kind, Object, Options};

/// Addresses, sorted; mostly the same for all.
pub(super) type Addresses = Arc<[StatusAddress]>;

/// What an Ingress needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// These addresses.
    Write(Addresses),
    /// That what we wrote is taken back: it is no longer ours.
    Release,
}

#[derive(Debug)]
pub(super) struct Ledger {
    options: Options,
    classes: Classes,
    publish: Publish,
    /// Our field manager.
    manager: String,
    names: Interner,
    /// Kinds whose first list is still to come.
    awaited: BTreeSet<Kind>,
    /// What is known of lists that are still incomplete.
    listed: BTreeMap<Kind, BTreeSet<ObjectName>>,
    ingresses: BTreeMap<ObjectName, Entry>,
    /// What the Service or the Nodes say.
    sources: BTreeMap<ObjectName, Vec<StatusAddress>>,
    wanted: Option<Addresses>,
    due: BTreeMap<ObjectName, Task>,
}

#[derive(Debug)]
struct Entry {
    class: Class,
    says: Addresses,
    /// Written by us, and something that could be taken back.
    written: bool,
}

impl Ledger {
    pub(super) fn new(options: &Options, publish: Publish) -> Self {
        let wanted = match &publish {
            Publish::Addresses(addresses) => Some(sorted(addresses.iter().cloned()).into()),
            _ => None,
        };
        Self {
            options: options.clone(),
            classes: Classes::new(options),
            publish,
            manager: manager::of(options),
            names: Interner::default(),
            awaited: Kind::LISTED.into(),
            listed: BTreeMap::new(),
            ingresses: BTreeMap::new(),
            sources: BTreeMap::new(),
            wanted,
            due: BTreeMap::new(),
        }
    }

    /// What our Ingresses should say, once that is known.
    pub(super) fn wanted(&self) -> Option<&Addresses> {
        self.wanted.as_ref().filter(|_| self.awaited.is_empty())
    }

    /// What is to be done.
    pub(super) fn due(&self) -> impl Iterator<Item = (&ObjectName, &Task)> {
        self.due.iter().filter(|_| self.awaited.is_empty())
    }

    pub(super) fn is_due(&self, name: &ObjectName) -> bool {
        self.due.contains_key(name)
    }

    /// A task is done, or need not be any more. The watch will tell if that is wrong.
    pub(super) fn done(&mut self, name: &ObjectName, task: &Task) {
        if let Some(entry) = self.ingresses.get_mut(name) {
            entry.written = matches!(task, Task::Write(_));
            if let Task::Write(addresses) = task {
                entry.says = addresses.clone();
            }
        }
        self.review(name);
    }

    pub(super) fn apply(&mut self, event: Event) {
        match event {
            // Nothing is done before the first list is complete, and later lists hold what was true at
            // one time: its parts may be entered one by one.
            Event::Part(kind, objects) => {
                let names: Vec<_> = objects.iter().filter_map(|it| self.enter(it)).collect();
                self.listed.entry(kind).or_default().extend(names);
            }
            Event::Void(kind) => drop(self.listed.remove(&kind)),
            Event::Replace(kind, objects) => {
                let mut listed = self.listed.remove(&kind).unwrap_or_default();
                listed.extend(objects.iter().filter_map(|it| self.enter(it)));
                for name in self.known(kind) {
                    if !listed.contains(&name) {
                        self.delete(kind, &name);
                    }
                }
                self.awaited.remove(&kind);
            }
            Event::Apply(object) => {
                self.enter(&object);
            }
            Event::Delete(kind, name) => self.delete(kind, &name),
            Event::Batch(events) => events.into_iter().for_each(|event| self.apply(event)),
            Event::Problems(..) | Event::Unavailable(..) | Event::Withheld(_) => {}
        }
    }

    fn enter(&mut self, object: &Object) -> Option<ObjectName> {
        let name = object_name(object.metadata(), &mut self.names)?;
        match object {
            Object::Ingress(object) => {
                let says = self.share(of_ingress(object));
                let entry = Entry {
                    class: class(object, &mut self.names),
                    written: !says.is_empty() && manager::wrote(&self.manager, object),
                    says,
                };
                self.ingresses.insert(name.clone(), entry);
                self.review(&name);
            }
            Object::IngressClass(object) => {
                let ours = Classes::is_ours(object, &self.options);
                if self.classes.apply(&name, ours) {
                    self.review_all();
                }
            }
            Object::Service(object) => {
                if self.publish == Publish::Service(name.clone()) {
                    self.source(name.clone(), of_service(object));
                }
            }
            Object::Node(object) => {
                if self.publish == Publish::Nodes {
                    self.source(name.clone(), of_node(object));
                }
            }
            Object::EndpointSlice(_) | Object::ServiceCidr(_) | Object::Secret(_) => {}
        }
        Some(name)
    }

    fn delete(&mut self, kind: Kind, name: &ObjectName) {
        match kind {
            Kind::Ingress => {
                self.ingresses.remove(name);
                self.due.remove(name);
            }
            Kind::IngressClass => {
                if self.classes.delete(name) {
                    self.review_all();
                }
            }
            Kind::Service | Kind::Node => {
                if self.sources.contains_key(name) {
                    self.source(name.clone(), Vec::new());
                }
            }
            Kind::EndpointSlice | Kind::ServiceCidr | Kind::Secret => {}
        }
    }

    fn known(&self, kind: Kind) -> Vec<ObjectName> {
        match kind {
            Kind::Ingress => self.ingresses.keys().cloned().collect(),
            Kind::IngressClass => self.classes.names(),
            Kind::Service | Kind::Node => self.sources.keys().cloned().collect(),
            Kind::EndpointSlice | Kind::ServiceCidr | Kind::Secret => Vec::new(),
        }
    }

    fn source(&mut self, name: ObjectName, addresses: Vec<StatusAddress>) {
        match addresses.is_empty() {
            true => self.sources.remove(&name),
            false => self.sources.insert(name, addresses),
        };
        let addresses = sorted(self.sources.values().flatten().cloned());
        // Without any address the last ones stay: clients may still reach them, and taking them back
        // would have DNS records removed.
        if !addresses.is_empty() && self.wanted.as_deref() != Some(&*addresses) {
            self.wanted = Some(addresses.into());
            self.review_all();
        }
    }

    /// One copy of what all say.
    fn share(&self, addresses: Vec<StatusAddress>) -> Addresses {
        match &self.wanted {
            Some(wanted) if **wanted == *addresses => wanted.clone(),
            _ => addresses.into(),
        }
    }

    fn review_all(&mut self) {
        let names: Vec<_> = self.ingresses.keys().cloned().collect();
        names.iter().for_each(|name| self.review(name));
    }

    fn review(&mut self, name: &ObjectName) {
        let task = self.ingresses.get(name).and_then(|entry| {
            if !self.classes.accepts(&entry.class) {
                return entry.written.then_some(Task::Release);
            }
            let wanted = self.wanted.as_ref()?;
            (entry.says != *wanted).then(|| Task::Write(wanted.clone()))
        });
        match task {
            Some(task) => self.due.insert(name.clone(), task),
            None => self.due.remove(name),
        };
    }
}
