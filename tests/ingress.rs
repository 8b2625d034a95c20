//! What clients of the ingress router see.

mod backends;
mod chain;
mod classes;
mod conflicts;
mod conformance;
mod conversation;
mod draining;
mod external_names;
mod forwarding;
mod http2;
mod lifecycle;
mod limits;
mod observability;
mod policies;
mod proxy_protocol;
pub(crate) mod reload;
mod routing;
mod scale;
pub(crate) mod site;
mod status;
mod streaming;
mod tls;
mod unusable;
