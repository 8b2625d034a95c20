//! The proxy from outside: real sockets on loopback, clients and endpoints that speak bytes.

#![allow(clippy::unwrap_used)] // clippy knows tests by #[test], not their helpers

mod balancing;
mod bodies;
mod client;
mod cluster;
mod conditions;
mod conformance;
mod drain;
mod forwarding;
mod frames;
mod goaway;
mod grpc;
mod hostile;
mod hostile_http2;
mod http2;
mod limits;
mod log;
mod observed;
mod proxy;
mod proxy_protocol;
mod python;
mod resilience;
mod retries;
mod route_policies;
mod silence;
mod swap;
mod tls;
mod traces;
mod upstream;
mod upstream_http2;
mod upstream_tls;
mod websocket;
