use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::notice::{Notice, Resource};
use super::reason::{Reason, Verb};
use crate::Kind;

/// Something that the API server does not let us have.
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
pub(super) struct Report {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What is wrong with the server as a whole, and since when.
    server: Option<(Fault, Instant, Notice)>,
    /// What is wrong with single kinds.
    kinds: BTreeMap<Kind, (Fault, Notice)>,
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
    pub(super) fn troubles(&self) -> Vec<Trouble> {
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
        all.collect()
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
