//! Forwards everything that arrives at one address to the endpoints given: the data path without a
//! cluster, to try it and to measure it.
//!
//! ```text
//! cargo run --release -p fairway-proxy --example forward -- 127.0.0.1:8080 127.0.0.1:9000
//! ```
//!
//! `WORKERS` sets the number of traffic threads, `LOG=1` switches the access log on.

#[path = "../tests/proxy/cluster.rs"]
#[allow(dead_code)]
mod cluster;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use fairway_proxy::{AccessLog, Config, Metrics, TlsSettings, TlsTable, bind, self_signed};

use cluster::Cluster;

fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses = env::args()
        .skip(1)
        .map(|argument| argument.parse::<SocketAddr>());
    let listen = addresses
        .next()
        .ok_or("usage: forward LISTEN ENDPOINT...")??;
    let endpoints = addresses.collect::<Result<Vec<_>, _>>()?;

    let mut cluster = Cluster::default();
    cluster.service("web", &endpoints);
    cluster.route(None, "/", "web");
    let routes = Arc::new(ArcSwap::from(cluster.index()));
    let workers = env::var("WORKERS")
        .ok()
        .and_then(|count| count.parse().ok());
    let log = env::var_os("LOG").is_some();
    let bound = bind(Config {
        http: vec![listen],
        workers: workers.unwrap_or(0),
        access_log: if log {
            AccessLog::Stdout
        } else {
            AccessLog::Off
        },
        ..Config::default()
    })?;
    println!("forwarding {:?} to {endpoints:?}", bound.local_addresses());
    let tls = TlsTable::new(&TlsSettings::default(), Arc::new(self_signed()?))?;
    let tls = Arc::new(ArcSwap::from_pointee(tls));
    let _handle = bound.serve(routes, tls, Metrics::default())?;
    loop {
        std::thread::park();
    }
}
