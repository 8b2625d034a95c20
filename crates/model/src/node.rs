use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// What fairway needs to know about the node it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The node's name, lower-case; endpoints that carry it are local.
    pub name: Arc<str>,
    /// Its zone label, if any.
    pub zone: Option<Arc<str>>,
    /// Its addresses, most significant first; empty until the Node object is known.
    pub addresses: Vec<IpAddr>,
    /// The pod networks assigned to it.
    pub pod_cidrs: Vec<IpNet>,
    /// The cluster's ServiceCIDRs; empty where the API does not have them.
    pub service_cidrs: Vec<IpNet>,
    /// The Node object is being deleted, or is tainted for deletion by the autoscaler.
    pub leaving: bool,
}
