//! From a running kube-proxy to fairway and back, under load, in every mode of kube-proxy that this kernel can run.
//!
//! kube-proxy itself is not here: its rules are, as it writes them for one Service with two pods, and those of its
//! neighbours, which nobody may touch.

mod rules;

use std::time::{Duration, Instant};

use fairway_model::Protocol;
use fairway_testkit::load::{Churn, Churning};
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Echo, Family, Lab, ask, lab};

use crate::support::{Cluster, Feed};
use rules::{Mode, Node};

const PATIENCE: Duration = Duration::from_secs(60);

/// Connections that become due every second from the first to the last moment, however long the rest takes.
const RATE: u32 = 1_000;

/// ClusterIP, balancer and node port, in both families.
const WAYS: u32 = 6;

/// Connections on each way that a stage lasts at least. More than are under way at once, so that most of them begin in it.
const STAGE: u64 = 60;

#[test]
fn from_iptables_mode_and_back_without_a_failed_connection() {
    lab::test(|| there_and_back(Mode::Iptables));
}

/// The iptables of before nf_tables.
#[test]
fn from_legacy_iptables_and_back_without_a_failed_connection() {
    lab::test(|| there_and_back(Mode::LegacyIptables));
}

#[test]
fn from_nftables_mode_and_back_without_a_failed_connection() {
    lab::test(|| there_and_back(Mode::Nftables));
}

/// This kernel has no IPVS, so that nothing is served before fairway starts. What kube-proxy leaves beside the virtual
/// servers is there: chains, sets and the device with the Services' addresses, which makes them the node's own.
#[test]
fn what_ipvs_mode_leaves_is_removed_without_a_failed_connection() {
    lab::test(|| {
        let cluster = cluster();
        let node = Node::of(&cluster);
        node.apply_neighbours(Mode::Ipvs);
        let untouched = node.snapshot();
        node.apply(Mode::Ipvs);
        cluster.start_agent("node-1");
        let load = Load::start(&cluster);
        load.more();
        clean(&cluster);
        load.more();
        assert_eq!(node.snapshot(), untouched);
        load.finish();
    });
}

fn there_and_back(mode: Mode) {
    let cluster = cluster();
    let node = Node::of(&cluster);
    node.apply_neighbours(mode);
    let untouched = node.snapshot();
    node.apply(mode);
    let load = Load::start(&cluster);
    load.more();

    // Beside kube-proxy.
    cluster.start_agent("node-1");
    load.more();
    let before = node.snapshot();
    let looked = cluster.fairway("node-1", &["cleanup", "--kube-proxy", "--dry-run"]);
    assert!(looked.status.success(), "{looked:?}");
    assert_eq!(node.snapshot(), before);

    // Without it.
    clean(&cluster);
    assert_eq!(node.snapshot(), untouched, "{mode:?}");
    load.more();
    // Nothing is left to do, and that is no failure.
    clean(&cluster);

    // And back: kube-proxy first.
    node.apply(mode);
    load.more();
    let status = cluster.agent("node-1").terminate().unwrap();
    assert!(status.success(), "{status}");
    load.more();
    let removed = cluster.fairway("node-1", &["cleanup"]);
    assert!(removed.status.success(), "{removed:?}");
    load.more();
    assert_eq!(node.snapshot(), before, "{mode:?}");
    load.finish();
}

/// Services are never left without rules, and kube-proxy's are not removed under it.
#[test]
fn kube_proxys_rules_stay_while_they_are_needed() {
    lab::test(|| {
        let cluster = cluster();
        let node = Node::of(&cluster);
        node.apply(Mode::Iptables);
        let before = node.snapshot();
        let refused = |because: &str| {
            let refused = cluster.fairway("node-1", &["cleanup", "--kube-proxy"]);
            assert_eq!(refused.status.code(), Some(1));
            let said = String::from_utf8_lossy(&refused.stderr);
            assert!(said.contains(because), "{said}");
            assert_eq!(node.snapshot(), before);
        };
        refused("start `fairway run` first");
        // In a pod its process is not seen, but its port, for which the agent waits.
        let metrics = node.metrics_of_kube_proxy();
        cluster.start_agent("node-1");
        refused("kube-proxy runs on this node (it answers at port 10249)");
        metrics.join().unwrap();
        let process = node.run_something_called("kube-proxy");
        refused("kube-proxy runs on this node");
        drop(process);
        clean(&cluster);
        for family in Family::BOTH {
            ask::tcp(
                cluster.lab().pod("pod-1-1").ns(),
                cluster.cluster_ip(family, 10, 80),
            )
            .unwrap();
        }
    });
}

/// A Service with two pods, one on either node; the agent will run on the first.
fn cluster() -> Cluster {
    let cluster = Cluster::new(Feed::Manifests, Lab::builder().nodes(2).pods_per_node(1));
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    let balancer = cluster.lab().balancer();
    let service = Family::BOTH.into_iter().fold(service, |service, family| {
        service.load_balancer_ip(balancer.ip(family))
    });
    let pods = cluster.lab().pods();
    let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &pods);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster
}

/// New connections, [`RATE`] a second in all: through the ClusterIP and, on a short way, the balancer's address from a pod,
/// and through a node port from outside.
struct Load {
    ways: Vec<Churning>,
    start: Instant,
}

impl Load {
    fn start(cluster: &Cluster) -> Self {
        let lab = cluster.lab();
        let pod = lab.pod("pod-1-1");
        let [pod, outside] = [pod.ns(), lab.client().ns()];
        let ways = Family::BOTH.into_iter().flat_map(|family| {
            let cluster_ip = cluster.cluster_ip(family, 10, 80);
            let balancer = (lab.balancer().ip(family), 80).into();
            let node_port = (lab.node("node-1").ip(family), 30080).into();
            [(cluster_ip, pod), (balancer, pod), (node_port, outside)]
        });
        let ways: Vec<_> = ways.collect();
        assert_eq!(ways.len(), WAYS as usize);
        let ways = ways.into_iter().map(|(server, from)| {
            let churn = Churn::tcp([server]).per_second(RATE.div_ceil(WAYS));
            churn.concurrency(32).start(from)
        });
        Self {
            ways: ways.collect(),
            start: Instant::now(),
        }
    }

    /// Waits for a stage's worth.
    fn more(&self) {
        let wanted: Vec<u64> = self.ways.iter().map(|way| way.done() + STAGE).collect();
        for (way, wanted) in self.ways.iter().zip(wanted) {
            way.wait_until(wanted, PATIENCE).unwrap();
        }
    }

    /// Every connection that was due has been made, at the rate that was promised, and none has failed.
    fn finish(self) {
        let promised = self.start.elapsed().as_secs() * u64::from(RATE);
        let mut made = 0;
        for way in self.ways {
            let report = way.stop().unwrap();
            assert_eq!(report.failed(), 0, "{report}");
            assert_eq!(Some(report.succeeded()), report.due, "{report}");
            assert_eq!(report.by_pod.len(), 2, "{report}");
            made += report.succeeded();
        }
        println!("{made} connections in {:?}", self.start.elapsed());
        assert!(made >= promised, "{made} of {promised}");
    }
}

fn clean(cluster: &Cluster) {
    let cleaned = cluster.fairway("node-1", &["cleanup", "--kube-proxy"]);
    assert!(cleaned.status.success(), "{cleaned:?}");
}
