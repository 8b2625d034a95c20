//! Where hosts outside of the cluster are, which Services of type ExternalName are aliases of.
//!
//! They are looked up by the system's resolver, which reads the `resolv.conf` that Kubernetes writes, and
//! again and again at a fixed interval: the system does not tell how long an answer is good for. What
//! comes back is judged address by address, and endpoints are made of addresses, never of names, so that
//! nobody can answer the judge with one address and the router with another. It is judged again whenever
//! what is inside changes.

mod judge;
mod lookups;
mod refused;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::{HostPattern, ObjectName, Snapshot, Update};
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tracing::warn;

use self::judge::Judge;
use self::lookups::{Answer, watch};
use crate::agent::interfaces::{self, Addresses};

/// Lookups at once: each blocks a thread, for as long as servers do not answer.
const LOOKUPS: usize = 4;

/// Most hosts that are looked up, and most addresses of one that are used.
const HOSTS: usize = 1000;
const ADDRESSES: usize = 32;

/// The hosts that are followed. Nobody is followed any more when this is dropped.
pub(super) struct ExternalHosts {
    followed: BTreeMap<Box<str>, Followed>,
    slots: Arc<Semaphore>,
    found: mpsc::Receiver<(Box<str>, Vec<IpAddr>)>,
    sender: mpsc::Sender<(Box<str>, Vec<IpAddr>)>,
    /// Those of this machine, for as long as anybody is followed.
    interfaces: Option<Receiver<Addresses>>,
    /// What is known of all hosts is to be judged again.
    is_due: bool,
    /// What is known of those that nobody asked for yet.
    known: Answers,
}

/// By host.
pub(super) type Answers = BTreeMap<Box<str>, Answer>;

/// Where a host is.
pub(super) struct Located {
    pub(super) host: Box<str>,
    /// Those that may be asked.
    pub(super) addresses: Vec<IpAddr>,
}

struct Followed {
    /// None for one that is not looked up.
    task: Option<AbortHandle>,
    /// What the resolver said last, if it said anything of use.
    answer: Receiver<Option<Answer>>,
    /// Where it is, none if nobody knows, and None for as long as it is looked up for the first time.
    found: Option<Vec<IpAddr>>,
    /// Addresses that must not be asked, with what they are, as the rest of a sentence.
    refused: BTreeMap<IpAddr, &'static str>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl ExternalHosts {
    /// Knows what another one has found out, and its age.
    pub(super) fn new(known: Answers) -> Self {
        // Whoever looks up waits for the reader.
        let (sender, found) = mpsc::channel(LOOKUPS);
        Self {
            followed: BTreeMap::new(),
            slots: Arc::new(Semaphore::new(LOOKUPS)),
            found,
            sender,
            interfaces: None,
            is_due: false,
            known,
        }
    }

    /// What is known of the hosts that are followed, for whoever follows them next.
    pub(super) fn answers(&self) -> Answers {
        let followed = self.followed.iter();
        let answers = followed.filter_map(|(host, followed)| {
            let answer = followed.answer.borrow().clone();
            let answer = answer.filter(|answer| !answer.is_stale());
            answer.map(|answer| (host.clone(), answer))
        });
        answers.collect()
    }

    /// Whether a host is looked up for the first time.
    pub(super) fn awaits_answers(&self) -> bool {
        let mut followed = self.followed.values();
        followed.any(|followed| followed.task.is_some() && followed.found.is_none())
    }

    /// Follows these hosts and no others.
    pub(super) fn follow<'a>(&mut self, hosts: impl Iterator<Item = &'a str>) {
        let wanted: BTreeSet<&str> = hosts.collect();
        self.followed.retain(|host, _| wanted.contains(&**host));
        for host in wanted {
            if self.followed.contains_key(host) {
                continue;
            }
            let (teller, answer) = channel(self.known.remove(host).filter(|it| !it.is_stale()));
            let followed = Followed {
                task: self.lookups_of(host, teller),
                answer,
                found: None,
                refused: BTreeMap::new(),
            };
            self.followed.insert(host.into(), followed);
        }
        match self.followed.is_empty() {
            true => self.interfaces = None,
            false => drop(self.interfaces.get_or_insert_with(interfaces::follow)),
        }
    }

    /// Sees to it that hosts are judged again where an update changes what is inside.
    pub(super) fn review(&mut self, before: &Snapshot, update: &Update) {
        fn addresses(snapshot: &Snapshot, name: &ObjectName) -> impl Iterator<Item = IpAddr> {
            let service = snapshot.services.get(name);
            service
                .into_iter()
                .flat_map(|service| judge::addresses(service))
        }
        let mut services = update.changes.services.iter();
        self.is_due |= update.changes.node
            || services.any(|name| addresses(before, name).ne(addresses(&update.snapshot, name)));
    }

    fn lookups_of(&self, host: &str, answer: Sender<Option<Answer>>) -> Option<AbortHandle> {
        let Some(name) = absolute(host) else {
            warn!(host = %host.escape_debug(), "no DNS name: requests for Services that are aliases of it are answered with 503");
            return None;
        };
        if self.followed.len() >= HOSTS {
            warn!(
                host,
                "too many hosts outside of the cluster: requests for this one are answered with 503"
            );
            return None;
        }
        let (host, slots, sender) = (host.into(), self.slots.clone(), self.sender.clone());
        let lookup = async move || {
            let slot = slots.acquire().await;
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            drop(slot);
            found.map(|addresses| addresses.map(|it| it.ip()).collect())
        };
        Some(tokio::spawn(watch(host, lookup, answer, sender)).abort_handle())
    }

    /// The next hosts that have other addresses than before. Cancel safe.
    pub(super) async fn next(&mut self, snapshot: &Snapshot) -> Vec<Located> {
        loop {
            let Some(interfaces) = &mut self.interfaces else {
                return std::future::pending().await;
            };
            // Also while nobody waited here.
            self.is_due |= interfaces.has_changed().unwrap_or_default();
            let ours = interfaces.borrow_and_update().clone();
            // Every machine has some: nobody is judged before they are known.
            let is_known = !ours.is_empty();
            if is_known && std::mem::take(&mut self.is_due) {
                let located = self.judge_again(snapshot, &ours);
                if !located.is_empty() {
                    return located;
                }
                continue;
            }
            tokio::select! {
                Ok(()) = interfaces.changed() => self.is_due = true, // which marks it as seen
                Some((host, mut addresses)) = self.found.recv(), if is_known => {
                    let Some(followed) = self.followed.get_mut(&host) else {
                        continue; // found after nobody wanted it any more
                    };
                    addresses.truncate(ADDRESSES);
                    let judge = Judge::new(snapshot, &ours, addresses.iter().copied());
                    followed.found = Some(addresses);
                    return vec![followed.judge(&host, &judge)];
                }
                else => return std::future::pending().await, // we hold a sender
            }
        }
    }

    fn judge_again(&mut self, snapshot: &Snapshot, interfaces: &[IpAddr]) -> Vec<Located> {
        let found = self
            .followed
            .values()
            .flat_map(|it| it.found.iter().flatten())
            .copied();
        let judge = Judge::new(snapshot, interfaces, found);
        let hosts = self.followed.iter_mut().filter_map(|(host, followed)| {
            let before = followed.refused.clone();
            let located = followed.judge(host, &judge);
            (followed.refused != before).then_some(located)
        });
        hosts.collect()
    }
}

impl Followed {
    fn judge(&mut self, host: &str, judge: &Judge<'_>) -> Located {
        let mut addresses = self.found.clone().unwrap_or_default();
        let mut refused = BTreeMap::new();
        addresses.retain(|address| match judge.judge(*address) {
            Ok(()) => true,
            Err(what) => {
                refused.insert(*address, what);
                false
            }
        });
        self.refused = refused;
        Located {
            host: host.into(),
            addresses,
        }
    }
}

/// The name with a dot at the end, which keeps the resolver from trying it in other domains first. None for
/// what cannot be a name, such as an address.
fn absolute(host: &str) -> Option<String> {
    let name = host.strip_suffix('.').unwrap_or(host);
    match fairway_cluster::host_pattern(name) {
        Ok(HostPattern::Exact(name)) => Some(format!("{name}.")),
        _ => None,
    }
}
