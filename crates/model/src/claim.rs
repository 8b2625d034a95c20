use std::sync::Arc;

use crate::{HostPattern, ObjectName, Rule};

/// What one Ingress asks for one host, whether or not it gets it: for who asks why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressClaim {
    /// The Ingress.
    pub name: ObjectName,
    /// `creationTimestamp` in seconds since 1970: of equals the oldest wins.
    pub created: i64,
    /// Whether the Ingress is ours to serve.
    pub class: ClassStanding,
    /// The host.
    pub host: HostPattern,
    /// Its rules for the host.
    pub rules: Vec<Rule>,
    /// Answers what none of its rules matches.
    pub default: Option<Rule>,
}

/// Whether an Ingress is ours, by the class that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassStanding {
    /// It is.
    Ours,
    /// It names the class of another controller, by field or by annotation.
    Other(Arc<str>),
    /// There is no IngressClass of that name.
    Missing(Arc<str>),
    /// It names none, and such are not served.
    None,
}
