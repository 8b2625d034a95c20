//! What tests, benches and the demo of fairway need around it: a cluster's network in network
//! namespaces, servers that say whom they saw, clients, load, a fake API server, and a driver for
//! the real binary. Nothing else needs to be installed.
//!
//! ```no_run
//! use fairway_model::Protocol;
//! use fairway_testkit::{Agent, Churn, Echo, Family, Lab, Manifests, ask, eventually, lab, objects};
//!
//! # fn binary() -> &'static std::path::Path { std::path::Path::new("fairway") }
//! // #[test]
//! fn a_service_survives_its_endpoints() {
//!     // As root, or in a user namespace.
//!     lab::test(|| {
//!         let lab = Lab::builder().nodes(2).pods_per_node(2).build().unwrap();
//!         let [v4, v6] = Family::BOTH.map(|family| lab.cluster_ip(family, 10));
//!         let service = objects::service("web").cluster_ip(v4).cluster_ip(v6).tcp("", 80);
//!         let slices = |pods: &[_]| {
//!             objects::endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], pods)
//!         };
//!         let manifests = Manifests::in_tempdir().unwrap();
//!         manifests.write("service.yaml", &[service.build()]).unwrap();
//!         manifests.write("pods.yaml", &slices(&lab.pods())).unwrap();
//!
//!         let _agents = lab.nodes().iter().map(|node| {
//!             let flags = ["--manifests", manifests.path().to_str().unwrap()];
//!             let name = ["--hostname-override", node.name()];
//!             Agent::start(node.ns(), binary(), ["run"].iter().chain(&flags).chain(&name)).unwrap()
//!         }).collect::<Vec<_>>();
//!
//!         let client = lab.pod("pod-1-1");
//!         let reply = eventually("an answer", || ask::tcp(client.ns(), (v6, 80).into()));
//!         assert_eq!(reply.peer.ip(), client.ip(Family::V6));
//!
//!         let churn = Churn::tcp([(v4, 80).into(), (v6, 80).into()]).start(client.ns());
//!         manifests.write("pods.yaml", &slices(&[lab.pod("pod-2-1")])).unwrap();
//!         churn.wait_for_more(1000, std::time::Duration::from_secs(10)).unwrap();
//!         let report = churn.stop().unwrap();
//!         assert_eq!((report.failed(), report.retransmissions), (0, 0), "{report}");
//!     });
//! }
//! ```
//!
//! A program, such as the demo, calls [`lab::enter`] first thing in `main` instead of [`lab::test()`].

pub mod agent;
pub mod apiserver;
pub mod ask;
pub mod balancer;
pub mod certificates;
pub mod echo;
mod eventually;
mod family;
pub mod lab;
pub mod load;
pub mod manifests;
pub mod nft;
pub mod objects;
mod sys;
pub mod usage;

pub use agent::Agent;
pub use apiserver::ApiServer;
pub use balancer::Balancer;
pub use echo::Echo;
pub use eventually::eventually;
pub use family::Family;
pub use lab::Lab;
pub use load::{Churn, OpenLoop};
pub use manifests::Manifests;
