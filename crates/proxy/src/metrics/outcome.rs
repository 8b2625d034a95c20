//! What requests of one route came to, by method and status.

use std::sync::OnceLock;
use std::time::Duration;

use super::histogram::{DURATIONS, Durations, SIZES, Sizes};

/// Statuses with a counter of their own; others are counted by class, so that an upstream that invents
/// statuses cannot create series.
const CODES: [u16; 31] = [
    101, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409,
    413, 414, 421, 422, 429, 431, 499, 500, 501, 502, 503, 504,
];

/// A status, or a class of statuses, as metrics tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    One(u16),
    /// The first digit of those that are not told apart.
    Class(u16),
    Other,
}

impl Code {
    fn of(status: u16) -> Self {
        match (CODES.binary_search(&status), status / 100) {
            (Ok(_), _) => Self::One(status),
            (Err(_), class @ 1..=5) => Self::Class(class),
            _ => Self::Other,
        }
    }

    /// The first digit; 0 of what is none.
    pub(super) fn class(self) -> u16 {
        match self {
            Self::One(code) => code / 100,
            Self::Class(class) => class,
            Self::Other => 0,
        }
    }

    pub(super) fn label(self) -> String {
        match self {
            Self::One(code) => code.to_string(),
            Self::Class(class) => format!("{class}xx"),
            Self::Other => "other".to_owned(),
        }
    }
}

/// A method as metrics tell it apart: clients can send any token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Other,
}

impl Method {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "other",
        }
    }
}

impl From<&http::Method> for Method {
    fn from(method: &http::Method) -> Self {
        match *method {
            http::Method::GET => Self::Get,
            http::Method::HEAD => Self::Head,
            http::Method::POST => Self::Post,
            http::Method::PUT => Self::Put,
            http::Method::PATCH => Self::Patch,
            http::Method::DELETE => Self::Delete,
            http::Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) method: Method,
    pub(crate) status: u16,
    pub(crate) duration: Duration,
    /// Of the answer of the endpoint, where one answered.
    pub(crate) upstream: Option<Duration>,
    /// Of the body.
    pub(crate) received: u64,
    /// Of the body.
    pub(crate) sent: u64,
}

/// The requests of one method that were answered with one status.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) method: Method,
    pub(super) code: Code,
    pub(super) durations: Durations,
    pub(super) upstream: Durations,
    pub(super) received: Sizes,
    pub(super) sent: Sizes,
    next: OnceLock<Box<Outcome>>,
}

impl Outcome {
    fn new(method: Method, code: Code) -> Self {
        Self {
            method,
            code,
            durations: Durations::new(DURATIONS),
            upstream: Durations::new(DURATIONS),
            received: Sizes::new(SIZES),
            sent: Sizes::new(SIZES),
            next: OnceLock::new(),
        }
    }

    fn add(&self, finished: &Finished) {
        self.durations.observe(finished.duration);
        if let Some(upstream) = finished.upstream {
            self.upstream.observe(upstream);
        }
        self.received.add(finished.received);
        self.sent.add(finished.sent);
    }
}

/// A list that its one writer extends while others read it, without a lock. Few combinations of method
/// and status occur, so it is short.
#[derive(Debug, Default)]
pub(super) struct Outcomes(OnceLock<Box<Outcome>>);

impl Outcomes {
    pub(super) fn add(&self, finished: &Finished) {
        let code = Code::of(finished.status);
        self.of(finished.method, code).add(finished);
    }

    pub(super) fn fold(&self, other: &Self) {
        for other in other.iter() {
            let outcome = self.of(other.method, other.code);
            outcome.durations.fold(&other.durations);
            outcome.upstream.fold(&other.upstream);
            outcome.received.fold(&other.received);
            outcome.sent.fold(&other.sent);
        }
    }

    fn of(&self, method: Method, code: Code) -> &Outcome {
        let mut place = &self.0;
        loop {
            let outcome = place.get_or_init(|| Box::new(Outcome::new(method, code)));
            if outcome.method == method && outcome.code == code {
                return outcome;
            }
            place = &outcome.next;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Outcome> {
        std::iter::successors(self.0.get(), |outcome| outcome.next.get()).map(|outcome| &**outcome)
    }
}
