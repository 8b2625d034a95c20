use std::fmt;
use std::sync::Arc;

use super::PathRewrite;
use crate::{ObjectName, Port};

/// What answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// One of these backends, picked by weight. Never empty.
    Forward(Vec<Backend>),
    /// A redirect.
    Redirect(Redirect),
    /// A status of our own, for example 404 for a backend kind that is not supported.
    Respond(u16),
}

/// A share of the requests of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The Service; always in the namespace of the object that names it.
    pub service: ObjectName,
    /// Its port.
    pub port: BackendPort,
    /// Relative to the other backends of the rule; 0 gets nothing.
    pub weight: u32,
}

/// How a backend names a Service port: the Service's own port, never the target port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackendPort {
    /// By number.
    Number(Port),
    /// By name.
    Name(Arc<str>),
}

impl fmt::Display for BackendPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Where a redirect leads; what is absent stays as the client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<Arc<str>>,
    /// Another host.
    pub host: Option<Arc<str>>,
    /// Another port.
    pub port: Option<Port>,
    /// Another path.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}
