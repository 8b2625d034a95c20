//! Secrets with the authorities that upstreams are verified by.
//!
//! What they hold is public and becomes part of the routes, so hosts are merged again when it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::{HostPattern, ObjectName};

use super::{Secrets, Told, list};
use crate::Kind;
use crate::problem::{Problem, Reason, Report};
use crate::tls::authorities_pem;

/// Who is verified by what.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    /// Hosts by the Secrets that their upstreams are verified by.
    pub(super) users: BTreeMap<ObjectName, BTreeSet<HostPattern>>,
    by_host: BTreeMap<HostPattern, BTreeSet<ObjectName>>,
    /// What each Secret gave last.
    pem: BTreeMap<ObjectName, Arc<str>>,
    /// Hosts whose Secrets were told of since they were merged.
    stale: BTreeSet<HostPattern>,
}

impl Upstreams {
    pub(super) fn told(&mut self, name: &ObjectName) {
        let hosts = self.users.get(name).into_iter().flatten();
        self.stale.extend(hosts.cloned());
    }

    pub(super) fn told_all(&mut self) {
        self.stale.extend(self.by_host.keys().cloned());
    }

    pub(super) fn forget(&mut self, name: &ObjectName) {
        self.pem.remove(name);
    }
}

impl Secrets {
    /// Hosts whose routes hold authorities that may be others by now.
    pub(in crate::index) fn take_stale_upstreams(&mut self) -> BTreeSet<HostPattern> {
        std::mem::take(&mut self.upstreams.stale)
    }

    /// The authorities (PEM) of a Secret; of one that is broken or cannot be had, those that it had last.
    pub(in crate::index) fn upstream_authorities(&mut self, name: &ObjectName) -> Option<Arc<str>> {
        let known = &mut self.upstreams.pem;
        match self.told.get(name) {
            Some(Told::Present(secret) | Told::Unavailable(_, Some(secret))) => {
                if let Ok(pem) = authorities_pem(secret) {
                    known.insert(name.clone(), pem);
                }
            }
            Some(Told::Absent) => drop(known.remove(name)),
            None if self.complete => drop(known.remove(name)),
            Some(Told::Unavailable(_, None)) | None => {}
        }
        known.get(name).cloned()
    }

    /// The Secrets that the upstreams of a host are verified by.
    pub(in crate::index) fn set_upstream_authorities(
        &mut self,
        host: &HostPattern,
        secrets: BTreeSet<ObjectName>,
    ) {
        let Upstreams { users, by_host, .. } = &mut self.upstreams;
        let before = match secrets.is_empty() {
            true => by_host.remove(host),
            false => by_host.insert(host.clone(), secrets.clone()),
        };
        let before = before.unwrap_or_default();
        for name in before.difference(&secrets) {
            let hosts = users.entry(name.clone()).or_default();
            hosts.remove(host);
            if hosts.is_empty() {
                users.remove(name);
                self.wanted_changed = true;
                self.touched.insert(name.clone());
            }
        }
        for name in secrets.difference(&before) {
            let hosts = users.entry(name.clone()).or_default();
            self.wanted_changed |= hosts.is_empty();
            hosts.insert(host.clone());
            self.touched.insert(name.clone());
        }
    }

    /// What is wrong with a Secret, as far as upstreams are verified by it.
    pub(super) fn judge_upstream_authorities(&self, name: &ObjectName) -> Vec<Problem> {
        let mut report = Report::new(Kind::Secret.as_str(), name.clone());
        let Some(hosts) = self.upstreams.users.get(name) else {
            return Vec::new();
        };
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let follows = match self.upstreams.pem.contains_key(name) {
            true => "its last good authorities stay in use".to_owned(),
            false => format!(
                "requests whose upstream is verified by it are answered with 503 until then, on {}",
                list(&hosts)
            ),
        };
        match self.told.get(name) {
            Some(Told::Present(secret)) => {
                if let Err(error) = authorities_pem(secret) {
                    let message = format_args!("{error}; {follows}");
                    report.add(Reason::InvalidCertificate, error.field(), message);
                }
            }
            Some(Told::Unavailable(why, _)) => {
                let message = format_args!("cannot be had: {why}; {follows}");
                report.add(Reason::SecretNotFound, "", message);
            }
            Some(Told::Absent) => {
                report.add(
                    Reason::SecretNotFound,
                    "",
                    format_args!("does not exist; {follows}"),
                );
            }
            None if self.complete => {
                report.add(
                    Reason::SecretNotFound,
                    "",
                    format_args!("does not exist; {follows}"),
                );
            }
            None => {}
        }
        report.finish()
    }
}
