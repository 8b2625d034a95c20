mod backends;
mod claims;
mod host;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::{
    Backend, HostPattern, ObjectName, RoutePolicies, RouteTable, SecretRef, ServiceMap,
};

use super::problems::{Aspect, Problems};
use super::secrets::Secrets;
use crate::Options;
use crate::classes::Classes;
use crate::convert::ingress::Ingress;
use crate::news::Accepted;
use backends::PolicyBackends;
use host::{Claim, merge};

/// Merges Ingresses into routes, host by host.
#[derive(Debug)]
pub(super) struct Ingresses {
    classes: Classes,
    default_backend: Option<Backend>,
    /// Its Service is to be looked at.
    default_unchecked: bool,
    policies: RoutePolicies,
    ingresses: BTreeMap<ObjectName, Entry>,
    /// Accepted Ingresses by host, oldest first.
    hosts: BTreeMap<HostPattern, Vec<Age>>,
    /// Accepted Ingresses by the Services they name, sorted.
    users: BTreeMap<ObjectName, Vec<ObjectName>>,
    /// Services that routes of a host have by policy only.
    by_policy: PolicyBackends,
    /// Ingresses that lost something on a host, to be told when they no longer do.
    losers: BTreeMap<HostPattern, BTreeSet<ObjectName>>,
    /// Hosts to be merged again.
    touched: BTreeSet<HostPattern>,
    /// Ingresses whose backends are to be looked up again.
    unchecked: BTreeSet<ObjectName>,
    /// Ingresses that are new, or not what they were.
    new: BTreeSet<ObjectName>,
    /// An IngressClass changed: every Ingress is to be looked at.
    reclassify: bool,
}

#[derive(Debug)]
struct Entry {
    ingress: Ingress,
    accepted: bool,
}

/// Who came first: `creationTimestamp`, then namespace and name.
type Age = (i64, ObjectName);

impl Ingresses {
    pub(super) fn new(options: &Options) -> Self {
        let mut touched = BTreeSet::new();
        if options.default_backend.is_some() {
            touched.insert(HostPattern::Any);
        }
        Self {
            classes: Classes::new(options),
            default_backend: options.default_backend.clone(),
            default_unchecked: true,
            policies: options.policies.clone(),
            ingresses: BTreeMap::new(),
            hosts: BTreeMap::new(),
            users: BTreeMap::new(),
            by_policy: PolicyBackends::default(),
            losers: BTreeMap::new(),
            touched,
            unchecked: BTreeSet::new(),
            new: BTreeSet::new(),
            reclassify: false,
        }
    }

    /// Sets other policies: each host may differ.
    pub(super) fn set_policies(&mut self, policies: RoutePolicies) {
        if self.policies != policies {
            self.policies = policies;
            self.touched.extend(self.hosts.keys().cloned());
            self.touched
                .extend(self.default_backend.iter().map(|_| HostPattern::Any));
        }
    }

    /// None for one that is of no use.
    pub(super) fn apply(&mut self, name: &ObjectName, ingress: Option<Box<Ingress>>) {
        let Some(ingress) = ingress else {
            return self.delete(name);
        };
        if self
            .ingresses
            .get(name)
            .is_some_and(|entry| entry.ingress == *ingress)
        {
            return;
        }
        self.delete(name);
        let accepted = self.classes.accepts(&ingress.class);
        if accepted {
            self.enter(name, &ingress);
        }
        // Classes and the rest of the first list may still be on their way: judged at commit.
        self.unchecked.insert(name.clone());
        self.new.insert(name.clone());
        let ingress = *ingress;
        self.ingresses
            .insert(name.clone(), Entry { ingress, accepted });
    }

    pub(super) fn delete(&mut self, name: &ObjectName) {
        let Some(entry) = self.ingresses.remove(name) else {
            return;
        };
        if entry.accepted {
            self.leave(name, &entry.ingress);
        }
        self.unchecked.insert(name.clone());
    }

    pub(super) fn apply_class(&mut self, name: &ObjectName, ours: bool) {
        self.reclassify |= self.classes.apply(name, ours);
    }

    pub(super) fn delete_class(&mut self, name: &ObjectName) {
        self.reclassify |= self.classes.delete(name);
    }

    pub(super) fn names(&self) -> Vec<ObjectName> {
        self.ingresses.keys().cloned().collect()
    }

    pub(super) fn class_names(&self) -> Vec<ObjectName> {
        self.classes.names()
    }

    /// A Service came, went, or has other ports.
    pub(super) fn service_changed(&mut self, service: &ObjectName) {
        let default = self.default_backend.as_ref();
        self.default_unchecked |= default.is_some_and(|default| default.service == *service);
        let users = self.users.get(service);
        for name in users.into_iter().flatten() {
            self.unchecked.insert(name.clone());
            let Some(Entry { ingress, .. }) = self.ingresses.get(name) else {
                continue;
            };
            // It may come to count, or have to give way.
            if ingress.default_backends().any(|it| it.service == *service) {
                self.touched.extend(ingress.hosts().cloned());
            }
        }
        self.touched.extend(self.by_policy.hosts(service).cloned());
    }

    /// Brings the routes up to date and returns the hosts that differ.
    pub(super) fn commit(
        &mut self,
        routes: &mut RouteTable,
        services: &ServiceMap,
        secrets: &mut Secrets,
        problems: &mut Problems,
    ) -> BTreeSet<HostPattern> {
        if std::mem::take(&mut self.reclassify) {
            self.classify();
        }
        for name in std::mem::take(&mut self.unchecked) {
            self.check(&name, services, problems);
        }
        if std::mem::take(&mut self.default_unchecked)
            && let Some(backend) = &self.default_backend
        {
            let missing = backends::missing_default(backend, services);
            problems.set(Aspect::DefaultBackend, missing);
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.extend(secrets.take_stale_upstreams());
        touched.retain(|host| self.commit_host(host, routes, services, secrets, problems));
        touched
    }

    fn commit_host(
        &mut self,
        host: &HostPattern,
        routes: &mut RouteTable,
        services: &ServiceMap,
        secrets: &mut Secrets,
        problems: &mut Problems,
    ) -> bool {
        let claims = self.hosts.get(host).into_iter().flatten();
        let claims = claims.filter_map(|(_, name)| {
            let claim = Claim::new(host, &self.ingresses.get(name)?.ingress)?;
            Some((name, claim))
        });
        secrets.merged(host);
        let (new, lost) = merge(host, claims, self.default_backend.as_ref(), services);
        let mut losers: BTreeSet<ObjectName> = lost.keys().cloned().collect();
        for (name, lost) in lost {
            problems.set(Aspect::Conflicts(name, host.clone()), lost);
        }
        let before = match losers.is_empty() {
            true => self.losers.remove(host),
            false => self.losers.insert(host.clone(), losers.clone()),
        };
        for name in before
            .into_iter()
            .flatten()
            .filter(|name| !losers.remove(name))
        {
            problems.set(Aspect::Conflicts(name, host.clone()), Vec::new());
        }
        let mut verified_by = BTreeSet::new();
        // Without policies all are.
        let own = new.as_ref().filter(|_| !self.policies.is_empty());
        let own = own.map(backends::named).unwrap_or_default();
        let Some(mut new) = new else {
            secrets.set_upstream_authorities(host, verified_by);
            self.by_policy.forget(host, problems);
            return routes.hosts.remove_mut(host);
        };
        self.policies.apply(host, &mut new, &mut |SecretRef(name)| {
            verified_by.insert(name.clone());
            secrets.upstream_authorities(name)
        });
        secrets.set_upstream_authorities(host, verified_by);
        match self.policies.is_empty() {
            true => self.by_policy.forget(host, problems),
            false => self.by_policy.check(host, &own, &new, services, problems),
        }
        if routes.hosts.get(host).is_some_and(|old| **old == new) {
            return false;
        }
        routes.hosts.insert_mut(host.clone(), Arc::new(new));
        true
    }

    /// Those of ours that came, or changed, since this was last asked for.
    pub(super) fn take_accepted(&mut self) -> Vec<Accepted> {
        let new = std::mem::take(&mut self.new);
        let accepted = new.into_iter().filter_map(|name| {
            let entry = self.ingresses.get(&name).filter(|entry| entry.accepted)?;
            Some(Accepted {
                hosts: entry.ingress.hosts().count(),
                name,
            })
        });
        accepted.collect()
    }

    /// Finds out anew which Ingresses are ours.
    fn classify(&mut self) {
        let mut entries = std::mem::take(&mut self.ingresses);
        for (name, entry) in &mut entries {
            let accepted = self.classes.accepts(&entry.ingress.class);
            self.unchecked.insert(name.clone());
            match (entry.accepted, accepted) {
                (false, true) => {
                    self.enter(name, &entry.ingress);
                    self.new.insert(name.clone());
                }
                (true, false) => self.leave(name, &entry.ingress),
                _ => {}
            }
            entry.accepted = accepted;
        }
        self.ingresses = entries;
    }

    fn enter(&mut self, name: &ObjectName, ingress: &Ingress) {
        for host in ingress.hosts() {
            let age = (ingress.created, name.clone());
            insert_into(&mut self.hosts, host, age);
            self.touched.insert(host.clone());
        }
        for (_, backend) in ingress.backends() {
            insert_into(&mut self.users, &backend.service, name.clone());
        }
    }

    fn leave(&mut self, name: &ObjectName, ingress: &Ingress) {
        let age = (ingress.created, name.clone());
        for host in ingress.hosts() {
            remove_from(&mut self.hosts, host, &age);
            self.touched.insert(host.clone());
        }
        for (_, backend) in ingress.backends() {
            remove_from(&mut self.users, &backend.service, name);
        }
    }

    /// Says what is wrong with an Ingress by itself and with the backends it names.
    fn check(&self, name: &ObjectName, services: &ServiceMap, problems: &mut Problems) {
        let entry = self.ingresses.get(name);
        let accepted = entry
            .filter(|entry| entry.accepted)
            .map(|entry| &entry.ingress);
        let own = accepted.map(|ingress| ingress.problems.clone());
        let backends = accepted.map(|ingress| backends::missing(name, ingress, services));
        let class = entry.map(|entry| self.classes.missing(name, &entry.ingress.class));
        for (aspect, list) in [
            (Aspect::Object(crate::Kind::Ingress, name.clone()), own),
            (Aspect::Backends(name.clone()), backends),
            (Aspect::Class(name.clone()), class),
        ] {
            problems.set(aspect, list.unwrap_or_default());
        }
    }
}

/// Most hosts and Services have one Ingress, for which a tree's node would be far too large.
fn insert_into<K: Ord + Clone, V: Ord>(map: &mut BTreeMap<K, Vec<V>>, key: &K, value: V) {
    let values = map.entry(key.clone()).or_default();
    if let Err(at) = values.binary_search(&value) {
        if values.is_empty() {
            values.reserve_exact(1);
        }
        values.insert(at, value);
    }
}

fn remove_from<K: Ord, V: Ord>(map: &mut BTreeMap<K, Vec<V>>, key: &K, value: &V) {
    if let Some(values) = map.get_mut(key) {
        if let Ok(at) = values.binary_search(value) {
            values.remove(at);
        }
        if values.is_empty() {
            map.remove(key);
        }
    }
}
