use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use fairway_model::{ObjectName, Service, ServiceKind};

/// Services that are aliases of hosts (ExternalName), and where these hosts are. Who looks that up is
/// somebody else.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    services: HashMap<ObjectName, Box<str>>,
    hosts: BTreeMap<Box<str>, ExternalHost>,
}

#[derive(Debug, Default)]
struct ExternalHost {
    services: BTreeSet<ObjectName>,
    addresses: Vec<IpAddr>,
}

impl Aliases {
    /// The hosts that have aliases.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(AsRef::as_ref)
    }

    /// Where a host is, as far as that is known.
    pub(super) fn addresses(&self, host: &str) -> &[IpAddr] {
        let host = self.hosts.get(host);
        host.map_or(&[], |host| &host.addresses)
    }

    /// Notes what a Service that routes forward to is an alias of, if it is one.
    pub(super) fn note(&mut self, name: &ObjectName, service: Option<&Service>) {
        let host = match service.map(|service| &service.kind) {
            Some(ServiceKind::ExternalName(host)) => Some(host),
            _ => None,
        };
        if self.services.get(name) == host {
            return;
        }
        self.forget(name);
        if let Some(host) = host {
            self.services.insert(name.clone(), host.clone());
            let host = self.hosts.entry(host.clone()).or_default();
            host.services.insert(name.clone());
        }
    }

    /// Nobody forwards to a Service any more. Its host stays known until [`Self::prune`].
    pub(super) fn forget(&mut self, name: &ObjectName) {
        let Some(host) = self.services.remove(name) else {
            return;
        };
        if let Some(host) = self.hosts.get_mut(&host) {
            host.services.remove(name);
        }
    }

    /// Forgets the hosts that have no aliases any more. Once all changes of an update are in: what is known
    /// of a host must not be lost between its last alias of before and its first one of now.
    pub(super) fn prune(&mut self) {
        self.hosts.retain(|_, host| !host.services.is_empty());
    }

    /// Sets where a host is, and returns its aliases.
    pub(super) fn locate(&mut self, host: &str, addresses: Vec<IpAddr>) -> Vec<ObjectName> {
        let Some(host) = self.hosts.get_mut(host) else {
            return Vec::new();
        };
        host.addresses = addresses;
        host.services.iter().cloned().collect()
    }
}
