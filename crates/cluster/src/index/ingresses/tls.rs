//! Which Ingresses have to do with a certificate.

use std::collections::BTreeSet;

use fairway_model::{HostPattern, ObjectName, SecretRef};

use super::Ingresses;
use crate::convert::ingress::HostPart;

/// Most Ingresses that are told of one Secret.
const TOLD: usize = 16;

impl Ingresses {
    /// The Ingress whose TLS a host has.
    pub(in crate::index) fn with_tls_of(&self, host: &HostPattern) -> Option<&ObjectName> {
        let parts = || self.parts(host);
        let listing = parts().find(|(_, part)| part.tls.as_ref().is_some_and(|it| it.lists_host()));
        let (name, _) = listing.or_else(|| parts().find(|(_, part)| part.tls.is_some()))?;
        Some(name)
    }

    /// The Ingresses of these hosts that name a Secret; of one that only policies name, the oldest of
    /// each host.
    pub(in crate::index) fn with_secret(
        &self,
        secret: &ObjectName,
        hosts: &[&HostPattern],
    ) -> BTreeSet<ObjectName> {
        let names = |part: &HostPart| {
            let tls = part.tls.as_ref();
            tls.is_some_and(|tls| tls.secrets().any(|SecretRef(name)| name == secret))
        };
        let mut found = BTreeSet::new();
        for host in hosts {
            let naming = self.parts(host).filter(|(_, part)| names(part));
            found.extend(naming.take(TOLD).map(|(name, _)| name.clone()));
            if found.len() >= TOLD {
                break;
            }
        }
        if found.is_empty() {
            let oldest = hosts.iter().filter_map(|host| self.parts(host).next());
            found.extend(oldest.take(TOLD).map(|(name, _)| name.clone()));
        }
        found
    }

    /// The Secrets with certificates that an Ingress of ours names.
    pub(in crate::index) fn secrets_of(&self, name: &ObjectName) -> BTreeSet<&ObjectName> {
        let entry = self.ingresses.get(name).filter(|entry| entry.accepted);
        entry
            .into_iter()
            .flat_map(|entry| entry.ingress.secrets())
            .collect()
    }

    /// What Ingresses ask for a host, oldest first.
    fn parts(&self, host: &HostPattern) -> impl Iterator<Item = (&ObjectName, &HostPart)> {
        let names = self.hosts.get(host).into_iter().flatten();
        names.filter_map(|(_, name)| Some((name, self.ingresses.get(name)?.ingress.host(host)?)))
    }
}
