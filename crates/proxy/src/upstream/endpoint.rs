//! One endpoint as a worker knows it, for as long as its upstream has it.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

use fairway_model::stable_hash;
use fairway_router::UsableEndpoint;

use super::health::Health;
use super::latency::Latency;

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// Of its address, the same on every node.
    pub(super) hash: u64,
    /// Requests under way.
    pub(super) under_way: Cell<u32>,
    /// Its place in a weighted turn: grows by its weight, and shrinks when it is chosen.
    pub(super) turn: Cell<i64>,
    pub(crate) latency: Latency,
    pub(super) health: Health,
    /// The upstream does not have it any more.
    pub(super) gone: Cell<bool>,
}

impl Endpoint {
    pub(super) fn new(endpoint: &UsableEndpoint, turn: i64) -> Self {
        let address = endpoint.address;
        let ip = match address.ip() {
            IpAddr::V4(ip) => stable_hash(&ip.octets()),
            IpAddr::V6(ip) => stable_hash(&ip.octets()),
        };
        Self {
            address,
            // Several endpoints may share an address, in tests above all.
            hash: ip ^ stable_hash(&address.port().to_be_bytes()),
            under_way: Cell::new(0),
            turn: Cell::new(turn),
            latency: Latency::default(),
            health: Health::default(),
            gone: Cell::new(false),
        }
    }
}
