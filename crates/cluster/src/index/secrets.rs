mod contents;
mod upstreams;
mod validity;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::RouteTable;
use fairway_model::{
    CertificateChoice, HostPattern, ObjectName, SecretRef, TlsHandling, TlsPolicy,
};

use super::ingresses::Ingresses;
use super::problems::{Aspect, Problems};
use crate::Kind;
use crate::problem::{Problem, Quoted, Reason, Report};
use crate::tls::{Certificates, Secret};
use upstreams::Upstreams;

/// Most names of a list that a message tells.
const NAMES: usize = 3;

/// Joins hosts with the Secrets that their TLS policies name.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// What the source has said of each Secret.
    told: BTreeMap<ObjectName, Told>,
    /// The source tells of all Secrets there are, not only of those that are asked for.
    complete: bool,
    policies: BTreeMap<HostPattern, Arc<TlsPolicy>>,
    /// Hosts by the Secrets that they need.
    users: BTreeMap<ObjectName, BTreeSet<HostPattern>>,
    upstreams: Upstreams,
    /// Not the same Secrets are needed as before.
    wanted_changed: bool,
    /// Secrets that are to be looked at again.
    touched: BTreeSet<ObjectName>,
    /// Hosts whose Ingresses are others, even where their routes are not.
    merged: BTreeSet<HostPattern>,
    certificates: Certificates,
    /// Seconds since 1970.
    now: i64,
}

#[derive(Debug)]
enum Told {
    Present(Box<Secret>),
    Absent,
    /// Why it cannot be had, and what it was when it last could.
    Unavailable(String, Option<Box<Secret>>),
}

impl Told {
    /// What is known of the Secret.
    fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Present(secret) | Self::Unavailable(_, Some(secret)) => Some(secret),
            Self::Absent | Self::Unavailable(_, None) => None,
        }
    }
}

/// What became of other certificates.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) hosts: BTreeSet<HostPattern>,
    pub(super) default: bool,
}

impl Secrets {
    pub(super) fn new(default: Option<ObjectName>) -> Self {
        let touched = default.iter().cloned().collect();
        Self {
            wanted_changed: default.is_some(),
            touched,
            certificates: Certificates {
                default,
                ..Certificates::default()
            },
            ..Self::default()
        }
    }

    pub(super) fn apply(&mut self, secret: &Secret, name: &ObjectName) {
        if let Some(Told::Present(known)) = self.told.get(name)
            && known.says_the_same(secret)
        {
            return;
        }
        self.tell(name, Told::Present(Box::new(secret.clone())));
    }

    pub(super) fn delete(&mut self, name: &ObjectName) {
        self.tell(name, Told::Absent);
    }

    pub(super) fn unavailable(&mut self, name: &ObjectName, why: String) {
        let last = match self.told.remove(name) {
            Some(Told::Present(secret)) => Some(secret),
            Some(Told::Unavailable(_, last)) => last,
            Some(Told::Absent) | None => None,
        };
        self.tell(name, Told::Unavailable(why, last));
    }

    /// The source has told of every Secret that exists.
    pub(super) fn complete(&mut self) {
        self.complete = true;
        // What was asked for before, and not answered, does not exist.
        let wanted: Vec<ObjectName> = self.wanted().cloned().collect();
        self.touched.extend(wanted);
        self.upstreams.told_all();
    }

    pub(super) fn names(&self) -> Vec<ObjectName> {
        self.told.keys().cloned().collect()
    }

    /// Tells the time, by which certificates are judged.
    pub(super) fn set_now(&mut self, now: i64) {
        self.now = now;
    }

    /// Looks at all certificates again.
    pub(super) fn review(&mut self) {
        self.touched
            .extend(self.certificates.certificates.keys().cloned());
    }

    /// All Secrets that are needed, if they are others than at the last call.
    pub(super) fn newly_wanted(&mut self) -> Option<BTreeSet<ObjectName>> {
        let is_news = std::mem::take(&mut self.wanted_changed);
        is_news.then(|| self.wanted().cloned().collect())
    }

    /// All Secrets that hosts and the default certificate need.
    fn wanted(&self) -> impl Iterator<Item = &ObjectName> {
        let users = self.users.keys().chain(self.upstreams.users.keys());
        users.chain(&self.certificates.default)
    }

    /// Whether the source has answered for every Secret that is needed.
    pub(super) fn is_answered(&self) -> bool {
        self.complete || self.wanted().all(|name| self.told.contains_key(name))
    }

    pub(super) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    fn tell(&mut self, name: &ObjectName, told: Told) {
        self.told.insert(name.clone(), told);
        self.touched.insert(name.clone());
        self.upstreams.told(name);
    }

    /// A host was merged anew.
    pub(super) fn merged(&mut self, host: &HostPattern) {
        self.merged.insert(host.clone());
    }

    /// The hosts that need a Secret.
    pub(super) fn hosts_with(&self, name: &ObjectName) -> impl Iterator<Item = &HostPattern> {
        let users = self.users.get(name).into_iter().flatten();
        users.chain(self.upstreams.users.get(name).into_iter().flatten())
    }

    /// Takes in what became of the hosts in `changed`, and then of Secrets.
    pub(super) fn commit(
        &mut self,
        changed: &BTreeSet<HostPattern>,
        routes: &RouteTable,
        ingresses: &Ingresses,
        problems: &mut Problems,
    ) -> Changed {
        for host in changed {
            let policy = routes.hosts.get(host).and_then(|routes| routes.tls.clone());
            if self.policies.get(host) != policy.as_ref() {
                self.set_policy(host, policy);
            }
        }
        let mut renewed = Changed::default();
        for name in std::mem::take(&mut self.touched) {
            let used = self.users.contains_key(&name);
            let is_default = self.certificates.default.as_ref() == Some(&name);
            let verifies = self.upstreams.users.contains_key(&name);
            if !used && !is_default && !verifies {
                self.forget(&name, problems);
                continue;
            }
            let (changed, mut found) = match used || is_default {
                true => self.look_at(&name),
                false => (false, Vec::new()),
            };
            found.extend(self.judge_upstream_authorities(&name));
            problems.set(Aspect::Object(Kind::Secret, name.clone()), found);
            if changed {
                renewed.default |= is_default;
                let hosts = self.users.get(&name).into_iter().flatten();
                renewed.hosts.extend(hosts.cloned());
            }
        }
        for host in std::mem::take(&mut self.merged).union(&renewed.hosts) {
            let found = self.uncovered(host, ingresses);
            problems.set(Aspect::Certificate(host.clone()), found);
        }
        renewed
    }

    fn set_policy(&mut self, host: &HostPattern, policy: Option<Arc<TlsPolicy>>) {
        let before = self.policies.remove(host);
        for SecretRef(name) in before.iter().flat_map(|policy| policy.secrets()) {
            if let Some(hosts) = self.users.get_mut(name) {
                hosts.remove(host);
                if hosts.is_empty() {
                    self.users.remove(name);
                    self.wanted_changed = true;
                }
                self.touched.insert(name.clone());
            }
        }
        for SecretRef(name) in policy.iter().flat_map(|policy| policy.secrets()) {
            let hosts = self.users.entry(name.clone()).or_default();
            self.wanted_changed |= hosts.is_empty();
            hosts.insert(host.clone());
            self.touched.insert(name.clone());
        }
        self.policies
            .extend(policy.map(|policy| (host.clone(), policy)));
    }

    /// Nobody needs the Secret any more. One that would be told of again is not kept either.
    fn forget(&mut self, name: &ObjectName, problems: &mut Problems) {
        self.certificates.certificates.remove(name);
        self.certificates.authorities.remove(name);
        self.upstreams.forget(name);
        if !self.complete {
            self.told.remove(name);
        }
        problems.set(Aspect::Object(Kind::Secret, name.clone()), Vec::new());
    }

    fn policies_with(&self, name: &ObjectName) -> impl Iterator<Item = &Arc<TlsPolicy>> {
        let hosts = self.users.get(name).into_iter().flatten();
        hosts.filter_map(|host| self.policies.get(host))
    }

    /// A host whose certificate there is, but for other names.
    fn uncovered(&self, host: &HostPattern, ingresses: &Ingresses) -> Vec<Problem> {
        let policy = self.policies.get(host).map(|policy| &policy.handling);
        let Some(TlsHandling::Terminate {
            certificate: CertificateChoice::Secret([SecretRef(name)]),
            ..
        }) = policy
        else {
            return Vec::new();
        };
        let certificate = self.certificates.certificates.get(name);
        let Some(certificate) = certificate.filter(|certificate| !certificate.covers(host)) else {
            return Vec::new();
        };
        let Some(ingress) = ingresses.with_tls_of(host) else {
            return Vec::new();
        };
        let mut report = Report::new(Kind::Ingress.as_str(), ingress.clone());
        report.add(
            Reason::CertificateHostMismatch,
            "spec.tls",
            format_args!(
                "the certificate of Secret {name} is for {}, not for {}; the default certificate is served",
                match certificate.names.as_slice() {
                    [] => "no DNS name".to_owned(),
                    names => list(names),
                },
                Quoted(&host.to_string())
            ),
        );
        report.finish()
    }
}

fn list(names: &[String]) -> String {
    let mut text = names[..names.len().min(NAMES)].join(", ");
    if let Some(more) = names.len().checked_sub(NAMES).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
