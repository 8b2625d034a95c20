//! A family that cannot be programmed: who says so, and what goes on regardless.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use fairway_model::Protocol;
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Agent, Echo, Family, Lab, ask};
use serde_json::{Value, json};

use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(a_family_that_is_stuck_is_stale_and_holds_up_nothing_else);

const CHECK: u16 = 32080;

/// Somebody who owns our table of IPv6: nobody else can change it while they live.
struct Owner(Child);

impl Owner {
    fn start(namespace: &Namespace) -> Self {
        let mut command = Command::new("nft");
        command.arg("-i").stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = namespace.spawn(command).unwrap();
        let table = "table ip6 fairway";
        let input = process.stdin.as_mut().unwrap();
        writeln!(input, "delete {table} ; add {table} {{ flags owner ; }}").unwrap();
        Self(process)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Fails only when it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_family_that_is_stuck_is_stale_and_holds_up_nothing_else(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    let cidrs = Family::BOTH.map(|family| cluster.lab().cluster_cidr(family).to_string());
    // Late after a second.
    let cluster = cluster.with_flags(&[
        "--cluster-cidr",
        &cidrs.join(","),
        "--iptables-sync-period=500ms",
        "--iptables-min-sync-period=0s",
    ]);
    let lab = cluster.lab();
    let service = cluster.service("web", 10).tcp("", 80);
    let service = service.kind("LoadBalancer").external_traffic_local();
    cluster.apply(
        "web",
        [service.set("/spec", "healthCheckNodePort", json!(CHECK))],
    );
    let serve = |pod: &str| {
        let pods = [lab.pod(pod)];
        let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &pods);
        cluster.apply("slices", slices);
    };
    serve("pod-1-1");
    cluster.start();
    let node = lab.node("node-1");
    let ask_node = |family, port: u16, path: &str| {
        let at = SocketAddr::new(node.ip(family), port);
        let response = ask::http_get(lab.balancer().ns(), at, "node", path).unwrap();
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        (response.status.as_u16(), body)
    };
    let probe = |family, path: &str| {
        let (status, body) = ask_node(family, Agent::HEALTH.port(), path);
        let families = ["IPv4", "IPv6"].map(|family| body["status"][family]["healthy"] == true);
        assert_eq!(body["healthy"], families == [true; 2], "{body}");
        (status, families)
    };
    let check = |family| {
        let (status, body) = ask_node(family, CHECK, "/");
        (
            status,
            body["serviceProxyHealthy"] == true,
            body["localEndpoints"] == 1,
        )
    };
    let all_say = |status: u16, fresh: bool| {
        for family in Family::BOTH {
            for path in ["/healthz", "/livez"] {
                becomes((status, [true, fresh]), path, || probe(family, path));
            }
            becomes((status, fresh, true), "the health check", || check(family));
        }
    };
    all_say(200, true);
    let owner = Owner::start(node.ns());
    all_say(503, false);

    // The other family follows what happens as if nothing was.
    serve("pod-1-2");
    let at = cluster.cluster_ip(Family::V4, 10, 80);
    becomes(Ok("pod-1-2".to_owned()), "the answer", || {
        who(ask::tcp(lab.pod("pod-1-1").ns(), at))
    });
    assert_eq!(probe(Family::V4, "/livez"), (503, [true, false]));
    drop(owner);
    all_say(200, true);
    let at = cluster.cluster_ip(Family::V6, 10, 80);
    assert_eq!(
        who(ask::tcp(lab.pod("pod-1-1").ns(), at)),
        Ok("pod-1-2".to_owned())
    );
}
