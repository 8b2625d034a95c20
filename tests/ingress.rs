//! What clients of the ingress router see.

mod backends;
mod classes;
mod conflicts;
mod conformance;
mod conversation;
mod routing;
mod site;
