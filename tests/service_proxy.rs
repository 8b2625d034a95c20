//! Traffic for Services, judged by what clients and endpoints see.

mod affinity;
mod bystanders;
mod change;
mod cluster_ip;
mod conditions;
mod conntrack;
mod hairpin;
mod health_check;
mod load;
mod loopback;
mod no_endpoints;
mod node_port;
mod payload;
mod policies;
mod ports;
mod spread;
