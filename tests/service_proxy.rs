//! Traffic for Services, judged by what clients and endpoints see.

mod affinity;
mod balance;
pub(crate) mod bystanders;
mod change;
mod cluster_ip;
mod conditions;
mod conntrack;
mod crowd;
mod established;
pub(crate) mod every_address;
mod flannel;
mod hairpin;
mod health_check;
mod host_network;
mod load;
mod load_balancer;
mod local_pods;
mod loopback;
mod no_endpoints;
mod node_port;
mod payload;
mod policies;
mod ports;
mod spread;
mod sustained;
mod topology;
