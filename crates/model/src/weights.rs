use std::sync::Arc;

use ipnet::IpNet;

use crate::Endpoint;

/// Which share of a Service's new connections its endpoints get (`fairway.dev/endpoint-weights`).
/// Empty for equal shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights(pub Vec<Weight>);

/// The share of some endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Whose.
    pub of: Weighted,
    /// 0 to [`LARGEST`](Self::LARGEST); 0 for no new connections.
    pub weight: u8,
}

/// Endpoints that have a weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weighted {
    /// All in the zone.
    Zone(Arc<str>),
    /// All on the node.
    Node(Arc<str>),
    /// All with an address in the network.
    Network(IpNet),
}

impl Weight {
    /// The largest weight. An endpoint takes as many elements of a map as its weight.
    pub const LARGEST: u8 = 100;
}

impl Weights {
    /// The weight of an endpoint: that of the first entry it is meant by, or 1.
    pub fn of(&self, endpoint: &Endpoint) -> u8 {
        let mut entries = self.0.iter();
        let entry = entries.find(|entry| match &entry.of {
            Weighted::Zone(zone) => endpoint.zone.as_ref() == Some(zone),
            Weighted::Node(node) => endpoint.is_on(node),
            Weighted::Network(network) => network.contains(&endpoint.address),
        });
        entry.map_or(1, |entry| entry.weight)
    }
}
