//! End-to-end tests: the real binary on the nodes of a cluster of network namespaces, fed by a
//! directory of manifests or by an API server, judged by what its clients see.

#![allow(clippy::unwrap_used, reason = "who cannot go on has failed the test")]

mod bad_input;
mod demo;
mod dependencies;
mod ingress;
mod insight;
mod install;
mod lifecycle;
mod migration;
mod scenarios;
mod service_proxy;
mod status_page;
mod support;
