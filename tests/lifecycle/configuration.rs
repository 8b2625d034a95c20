//! `--config`: what files say counts, and so does what they say later.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use fairway_model::Protocol;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Churn, Echo, Family, Lab, ask};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(a_config_map_that_changes_is_followed_and_no_packet_is_lost);

/// Bounds only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A volume as the kubelet mounts a ConfigMap.
struct ConfigMap {
    directory: TempDir,
}

impl ConfigMap {
    fn new(content: &str) -> Self {
        let directory = TempDir::new().unwrap();
        symlink("..data/config.conf", directory.path().join("config.conf")).unwrap();
        let volume = Self { directory };
        volume.swap("..1", content);
        volume
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts another version in place at once, as the kubelet does, and removes the one of before.
    fn swap(&self, version: &str, content: &str) {
        let at = |name: &str| self.path().join(name);
        let before = fs::read_link(at("..data"));
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("config.conf"), content).unwrap();
        symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        if let Ok(before) = before {
            fs::remove_dir_all(self.path().join(before)).unwrap();
        }
    }
}

fn configuration(masquerade_all: bool) -> String {
    format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n\
         kind: KubeProxyConfiguration\n\
         clusterCIDR: 10.244.0.0/16,fd00:10:244::/48\n\
         iptables: {{masqueradeAll: {masquerade_all}}}\n\
         ---\n\
         apiVersion: fairway.dev/v1alpha1\n\
         kind: FairwayConfiguration\n\
         drainSeconds: 1\n"
    )
}

fn a_config_map_that_changes_is_followed_and_no_packet_is_lost(feed: Feed) {
    let volume = ConfigMap::new(&configuration(false));
    let file = volume.path().join("config.conf");
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    let cluster =
        cluster.with_flags(&["--config", file.to_str().unwrap(), "--loopback-node-ports"]);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let endpoint = lab.pod("pod-1-2");
    let service = cluster.service("web", 10).udp("udp", 80);
    let service = service.tcp("tcp", 80).node_port(30080);
    let ports = [
        ("tcp", Protocol::Tcp, Echo::LINES),
        ("udp", Protocol::Udp, Echo::LINES),
    ];
    let slices = endpoint_slices("web", &ports, &[lab.pod("pod-1-2")]);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();

    let client = lab.pod("pod-1-1");
    let inside = Family::BOTH.map(|family| cluster.cluster_ip(family, 10, 80));
    let churns = [
        Churn::tcp(inside).start(client.ns()),
        Churn::udp(inside).start(client.ns()),
    ];
    let sources = || -> Vec<IpAddr> {
        let seen = inside.map(|at| ask::tcp(client.ns(), at).unwrap().peer.ip());
        seen.into()
    };
    let own = Family::BOTH.map(|family| client.ip(family)).to_vec();
    let nodes = Family::BOTH.map(|family| cluster.masqueraded(node, &endpoint, family));
    let nodes = nodes.to_vec();
    let configz = || -> Value {
        let metrics = "127.0.0.1:10249".parse().unwrap();
        let answer = ask::http_get(node.ns(), metrics, "localhost", "/configz");
        answer.map_or(Value::Null, |answer| {
            serde_json::from_str(&answer.text()).unwrap()
        })
    };
    let masquerade_all =
        || configz()["kubeproxy.config.k8s.io"]["iptables"]["masqueradeAll"].clone();
    assert_eq!(sources(), own);
    assert_eq!(masquerade_all(), Value::Bool(false));
    assert_eq!(configz()["fairway.dev"]["drainSeconds"], 1);
    let relay = (Ipv4Addr::LOCALHOST, 30080).into();
    becomes(true, "the node port is served on loopback", || {
        ask::tcp(node.ns(), relay).is_ok()
    });
    let relayed = ask::Conversation::tcp(node.ns(), relay).unwrap();
    relayed.ask().unwrap();

    volume.swap("..2", &configuration(true));
    becomes(nodes.clone(), "the client's address", sources);
    becomes(Value::Bool(true), "the configuration", masquerade_all);
    relayed.ask().unwrap();

    // What cannot be used changes nothing.
    volume.swap(
        "..3",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: magic\n",
    );
    let agent = cluster.agent("node-1");
    let told =
        "mode 'magic': expected nftables, iptables or ipvs; the configuration of before stays";
    agent.wait_for_log(told, PATIENCE).unwrap();
    assert_eq!(sources(), nodes);

    // And by way of an editor that replaces the file.
    let other = volume.path().join("other");
    fs::write(&other, configuration(false)).unwrap();
    fs::rename(&other, &file).unwrap();
    becomes(own, "the client's address", sources);

    agent.wait_ready().unwrap();
    assert_eq!(agent.exit_status(), None);
    relayed.ask().unwrap();
    for churn in churns {
        churn.wait_for_more(20, PATIENCE).unwrap();
        let report = churn.stop().unwrap();
        assert_eq!(report.failed(), 0, "{report}");
    }
    assert!(agent.terminate().unwrap().success());
}
