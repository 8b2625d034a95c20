use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use tracing::{info, warn};

use super::notice::{Notice, Resource};
use super::reason::{Reason, Verb};
use super::right::{Right, is_denied};
use crate::Kind;

/// Something that the API server does not let us have or do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The kind in RBAC's words, for example `ingresses.networking.k8s.io`; None for all of them.
    pub resource: Option<String>,
    /// In one word, in upper camel case.
    pub reason: &'static str,
    /// What is not allowed, which rule it needs, and what follows.
    pub message: String,
}

/// Remembers what was said about the API server, so that six watchers that retry for hours say it once.
#[derive(Debug, Default)]
pub(crate) struct Report {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What is wrong with the server as a whole, and since when.
    server: Option<(Fault, Instant, Notice)>,
    /// What is wrong with single kinds.
    kinds: BTreeMap<Kind, (Fault, Notice)>,
    /// What we may not write.
    denied: BTreeSet<Right>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Unreachable,
    Credentials,
    Forbidden(Verb),
    Refused,
}

impl Report {
    /// A list or watch of the kind failed. Returns what is new about that.
    pub(super) fn failed(&self, kind: Kind, resource: &Resource, reason: &Reason) -> Vec<Notice> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let resource = resource.clone();
        match reason.clone() {
            Reason::Unreachable(text) => {
                known.server(Fault::Unreachable, Notice::Unreachable(text))
            }
            Reason::Credentials(text) => {
                known.server(Fault::Credentials, Notice::Credentials(text))
            }
            Reason::Forbidden(verb) => known.kind(
                kind,
                Fault::Forbidden(verb),
                Notice::Forbidden(resource, verb),
            ),
            Reason::Absent(verb, text) | Reason::Refused(verb, text) => {
                known.kind(kind, Fault::Refused, Notice::Refused(resource, verb, text))
            }
            Reason::Expired => known.server_answers(),
            Reason::Interrupted(_) => Vec::new(),
        }
    }

    /// What is wrong right now.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let server = known.server.iter().map(|(fault, _, said)| (fault, said));
        let kinds = known.kinds.values().map(|(fault, said)| (fault, said));
        let all = server.chain(kinds).map(|(fault, said)| Trouble {
            resource: said.resource().map(ToString::to_string),
            reason: match fault {
                Fault::Unreachable => "Unreachable",
                Fault::Credentials => "Unauthorized",
                Fault::Forbidden(_) => "Forbidden",
                Fault::Refused => "Refused",
            },
            message: said.to_string(),
        });
        let denied = known.denied.iter().map(|right| Trouble {
            resource: Some(right.full_name().to_owned()),
            reason: "Forbidden",
            message: right.refusal(),
        });
        all.chain(denied).collect()
    }

    /// What we may not have or write right now, in RBAC's words.
    pub(crate) fn forbidden(&self) -> Vec<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = known.kinds.values();
        let kinds = kinds.filter(|(fault, _)| matches!(fault, Fault::Forbidden(_)));
        let kinds = kinds.filter_map(|(_, said)| said.resource().map(ToString::to_string));
        let denied = known.denied.iter();
        kinds
            .chain(denied.map(|right| right.full_name().to_owned()))
            .collect()
    }

    /// The API server let us write, or did not. The log says once what is missing.
    pub(crate) fn wrote<T>(&self, right: Right, written: &Result<T, kube::Error>) {
        let denied = match written {
            Ok(_) => false,
            Err(error) if is_denied(error) => true,
            // Says nothing about what is allowed.
            Err(_) => return,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = match denied {
            true => known.denied.insert(right),
            false => known.denied.remove(&right),
        };
        drop(known);
        match denied {
            true if changed => warn!("{}", right.refusal()),
            false if changed => info!("allowed to write {} again", right.full_name()),
            _ => {}
        }
    }

    /// A list of the kind is complete, or a watch has begun.
    pub(super) fn succeeded(&self, kind: Kind, resource: &Resource) -> Vec<Notice> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = known.server_answers();
        if known.kinds.remove(&kind).is_some() {
            news.push(Notice::Served(resource.clone()));
        }
        news
    }
}

impl Known {
    fn server(&mut self, fault: Fault, notice: Notice) -> Vec<Notice> {
        match &mut self.server {
            Some((known, ..)) if *known == fault => Vec::new(),
            Some((known, _, said)) => {
                *known = fault;
                *said = notice.clone();
                vec![notice]
            }
            none => {
                *none = Some((fault, Instant::now(), notice.clone()));
                vec![notice]
            }
        }
    }

    fn kind(&mut self, kind: Kind, fault: Fault, notice: Notice) -> Vec<Notice> {
        let mut news = self.server_answers();
        let known = self.kinds.insert(kind, (fault, notice.clone()));
        if known.is_none_or(|(known, _)| known != fault) {
            news.push(notice);
        }
        news
    }

    fn server_answers(&mut self) -> Vec<Notice> {
        self.server
            .take()
            .map(|(_, since, _)| Notice::Back(since.elapsed()))
            .into_iter()
            .collect()
    }
}
