//! What is wrong with an object, in one line that an operator can act on.

mod metrics;
#[cfg(test)]
mod tests;
use std::fmt;

use fairway_model::{ObjectName, ObjectRef};

pub use metrics::ProblemMetrics;

/// Longest quotation from an object in a message, in characters: a line stays readable and an absurd
/// value cannot flood the log.
const QUOTED: usize = 80;

/// Most problems that are reported of one object at a time; the rest are counted.
const PER_OBJECT: usize = 20;

/// One thing that an object asks for and does not get. Everything else of it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The object to correct; of kind `File` where a manifest file cannot be used.
    pub object: ObjectRef,
    /// The field, for example `spec.ports[0].nodePort`; empty where it is about the whole object.
    pub field: String,
    /// What is wrong and what follows from it.
    pub message: String,
    /// What sort of problem it is.
    pub reason: Reason,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.object)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Sorts of problems; the names are those of Kubernetes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A field has a value that means nothing.
    Invalid,
    /// A file cannot be read or parsed.
    Unreadable,
    /// The object is declared more than once.
    Duplicate,
    /// The IngressClass does not exist.
    ClassNotFound,
    /// The Service of a backend does not exist.
    BackendNotFound,
    /// The Service of a backend has no such port.
    BackendPortNotFound,
    /// The Service of a backend has no endpoint that could answer.
    NoEndpoints,
    /// A kind of backend that is not supported.
    UnsupportedBackend,
    /// The host of an ExternalName has an address that is never asked.
    AddressRefused,
    /// A Secret does not exist or may not be read.
    SecretNotFound,
    /// A Secret has no certificate that can be used.
    InvalidCertificate,
    /// A certificate is not valid now, or not for long.
    CertificateExpiring,
    /// A certificate is for other hosts.
    CertificateHostMismatch,
    /// Another Ingress has the same host and path.
    PathConflict,
    /// Another Ingress has the same setting of the same host.
    HostConflict,
    /// Another Service has the same address and port.
    AddressConflict,
    /// The kernel refuses what the object needs.
    RefusedByKernel,
    /// Annotations that nobody here reads.
    AnnotationIgnored,
    /// A process of the node listens at the Service's node port.
    PortInUse,
}

impl Reason {
    /// Whether it often is over soon, without anybody doing something about it.
    pub fn may_pass(self) -> bool {
        self == Self::NoEndpoints
    }

    /// The name as events and logs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
            Self::Unreadable => "Unreadable",
            Self::Duplicate => "Duplicate",
            Self::ClassNotFound => "ClassNotFound",
            Self::BackendNotFound => "BackendNotFound",
            Self::BackendPortNotFound => "BackendPortNotFound",
            Self::NoEndpoints => "NoEndpoints",
            Self::UnsupportedBackend => "UnsupportedBackend",
            Self::AddressRefused => "AddressRefused",
            Self::SecretNotFound => "SecretNotFound",
            Self::InvalidCertificate => "InvalidCertificate",
            Self::CertificateExpiring => "CertificateExpiring",
            Self::CertificateHostMismatch => "CertificateHostMismatch",
            Self::PathConflict => "PathConflict",
            Self::HostConflict => "HostConflict",
            Self::AddressConflict => "AddressConflict",
            Self::RefusedByKernel => "RefusedByKernel",
            Self::AnnotationIgnored => "AnnotationIgnored",
            Self::PortInUse => "PortInUse",
        }
    }
}

/// Collects the problems of one object, so many and no more.
#[derive(Debug)]
pub(crate) struct Report {
    object: ObjectRef,
    problems: Vec<Problem>,
    left_out: usize,
}

impl Report {
    pub(crate) fn new(kind: &'static str, name: ObjectName) -> Self {
        Self {
            object: ObjectRef { kind, name },
            problems: Vec::new(),
            left_out: 0,
        }
    }

    pub(crate) fn invalid(&mut self, field: impl fmt::Display, message: impl fmt::Display) {
        self.add(Reason::Invalid, field, message);
    }

    pub(crate) fn add(
        &mut self,
        reason: Reason,
        field: impl fmt::Display,
        message: impl fmt::Display,
    ) {
        if self.problems.len() == PER_OBJECT {
            self.left_out += 1;
            return;
        }
        self.problems.push(Problem {
            object: self.object.clone(),
            field: field.to_string(),
            message: message.to_string(),
            reason,
        });
    }

    pub(crate) fn finish(mut self) -> Vec<Problem> {
        if self.left_out > 0 {
            self.problems.push(Problem {
                object: self.object,
                field: String::new(),
                message: format!("has {} more problems", self.left_out),
                reason: Reason::Invalid,
            });
        }
        self.problems
    }
}

/// A value from an object inside a message: quoted, on one line, cut after 80 characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        let start: String = characters.by_ref().take(QUOTED).collect();
        let more = if characters.next().is_some() {
            "..."
        } else {
            ""
        };
        write!(f, "\"{}{more}\"", start.escape_debug())
    }
}

/// A message of somebody else's inside ours: on one line, cut after four times 80 characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.0.split_whitespace();
        let mut line = words.next().unwrap_or_default().to_owned();
        for word in words {
            if line.len() > 4 * QUOTED {
                break;
            }
            line.push(' ');
            line.push_str(word);
        }
        let mut characters = line.chars();
        for character in characters.by_ref().take(4 * QUOTED) {
            if character.is_control() {
                write!(f, "{}", character.escape_unicode())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        f.write_str(if characters.next().is_some() {
            "..."
        } else {
            ""
        })
    }
}
