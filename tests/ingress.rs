//! What clients of the ingress router see.

mod backends;
mod chain;
mod classes;
mod conflicts;
mod conformance;
mod conversation;
mod forwarding;
mod lifecycle;
mod limits;
mod policies;
mod proxy_protocol;
mod routing;
mod scale;
pub(crate) mod site;
mod status;
mod streaming;
mod tls;
