//! Whatever somebody does to our tables, they are soon as they should be.

use std::time::{Duration, Instant};

use fairway_model::Protocol;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Echo, Family, Lab, ask, eventually, nft};

use crate::support::{Cluster, Feed, NftMonitor, becomes, fed_both_ways};

fed_both_ways!(
    a_flushed_ruleset_is_back_within_a_second,
    damage_is_repaired,
    nft_lists_what_render_prints,
);

fn a_flushed_ruleset_is_back_within_a_second(feed: Feed) {
    let cluster = web(feed);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let before = cluster.tables("node-1");
    let times = (0..5).map(|_| {
        nft::nft(node.ns(), &["flush", "ruleset"]).unwrap();
        let flushed = Instant::now();
        for family in Family::BOTH {
            let at = cluster.cluster_ip(family, 10, 80);
            eventually("an answer", || ask::tcp(lab.pod("pod-1-1").ns(), at));
            let at = (node.ip(family), 30080).into();
            eventually("an answer", || ask::tcp(lab.client().ns(), at));
        }
        let took = flushed.elapsed();
        becomes(before.clone(), "the tables", || cluster.tables("node-1"));
        took
    });
    // The best of several: a busy machine may be slow, the repair must not wait for anything.
    let times: Vec<_> = times.collect();
    println!("repaired within {times:?}");
    assert!(
        times.iter().min() < Some(&Duration::from_secs(1)),
        "{times:?}"
    );
}

fn damage_is_repaired(feed: Feed) {
    let cluster = web(feed);
    let lab = cluster.lab();
    let ns = lab.node("node-1").ns();
    let before = cluster.tables("node-1");
    for family in Family::BOTH {
        let table = format!("{} fairway", family.nft());
        let vip = lab.cluster_ip(family, 10);
        let pod = lab.pod("pod-1-1").ip(family);
        let stranger = lab.cluster_ip(family, 99);
        let rule = rule_handle(&cluster, family, "services");
        let mut damages = vec![
            format!("delete rule {table} services handle {rule}"),
            format!("flush chain {table} cluster-ip"),
            format!("insert rule {table} services drop"),
            format!("add rule {table} nat-output counter"),
            format!(
                "add chain {table} extra {{ type filter hook input priority 0; policy drop; }}"
            ),
            format!("add chain {table} idle"),
            format!("add set {table} extra {{ type inet_service; elements = {{ 1, 2 }}; }}"),
            format!("add element {table} cluster-ips {{ {stranger} }}"),
            format!("add element {table} refused {{ {stranger} . tcp . 1 }}"),
            format!("add element {table} endpoints-1 {{ {stranger} . tcp . 80 : {pod} . 22 }}"),
            format!("delete element {table} cluster-ips {{ {vip} }}"),
            format!("delete element {table} endpoints-2 {{ {vip} . tcp . 80 . 1 }}"),
            // The same key with another value.
            format!(
                "delete element {table} endpoints-2 {{ {vip} . tcp . 80 . 0 }}\n\
                 add element {table} endpoints-2 {{ {vip} . tcp . 80 . 0 : {pod} . 22 }}"
            ),
            format!("flush set {table} hairpin"),
            format!("flush map {table} node-port-endpoints-2"),
            format!("flush table {table}"),
            format!("delete table {table}"),
            // A table of our name in which nothing is ours.
            format!(
                "delete table {table}\nadd table {table}\n\
                 add set {table} cluster-ips {{ type inet_service; }}\n\
                 add chain {table} services {{ type filter hook output priority 5; policy accept; }}"
            ),
        ];
        let hook = "type nat hook prerouting priority";
        damages.push(format!(
            "flush chain {table} nat-prerouting\ndelete chain {table} nat-prerouting\n\
             add chain {table} nat-prerouting {{ {hook} 50; }}\n\
             add rule {table} nat-prerouting jump services"
        ));
        for damage in damages {
            nft::apply(ns, &damage).unwrap_or_else(|error| panic!("{damage}: {error:#}"));
            becomes(before.clone(), &damage, || cluster.tables("node-1"));
        }
        let at = cluster.cluster_ip(family, 10, 80);
        ask::tcp(lab.pod("pod-1-1").ns(), at).unwrap();
    }
    // Others may do as they like with their own.
    let monitor = NftMonitor::start(ns);
    nft::apply(
        ns,
        "add table ip other\nadd chain ip other services\nadd table inet fairway",
    )
    .unwrap();
    nft::apply(ns, "delete table ip other\ndelete table inet fairway").unwrap();
    let written = monitor.finish();
    assert!(
        written.iter().all(|line| line.ends_with("inet fairway")),
        "{written:#?}"
    );
}

fn nft_lists_what_render_prints(feed: Feed) {
    let cluster = web(feed);
    for node in cluster.lab().nodes() {
        let listed = nft::list_ruleset(node.ns()).unwrap();
        let rendered = cluster.render(node.name());
        assert_eq!(nft::normalise(&listed), nft::normalise(&rendered));
        // What render prints is what nft itself understands by it.
        nft::apply(node.ns(), &format!("flush ruleset\n{rendered}")).unwrap();
        becomes(nft::normalise(&rendered), "the ruleset", || {
            nft::normalise(&nft::list_ruleset(node.ns()).unwrap())
        });
    }
}

/// `web` with two endpoints, and more so that every kind of element occurs.
fn web(feed: Feed) -> Cluster {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(5));
    let pods = cluster.lab().pods();
    for (number, count) in (10_u8..).zip([2, 0, 1, 10]) {
        let name = format!("web-{number}");
        let service = cluster.service(&name, number);
        let service = service.tcp("tcp", 80).node_port(30070 + u16::from(number));
        let service = service.udp("udp", 80).build();
        let ports = [
            ("tcp", Protocol::Tcp, Echo::LINES),
            ("udp", Protocol::Udp, Echo::LINES),
        ];
        let slices = endpoint_slices(&name, &ports, &pods[..count]);
        cluster.apply(&name, slices.into_iter().chain([service]));
    }
    cluster.start();
    cluster
}

fn rule_handle(cluster: &Cluster, family: Family, chain: &str) -> String {
    let ns = cluster.lab().node("node-1").ns();
    let listed = nft::nft(
        ns,
        &["--handle", "list", "chain", family.nft(), "fairway", chain],
    );
    let listed = listed.unwrap();
    let handles = listed.lines().filter(|line| !line.contains("chain "));
    let mut handles = handles.filter_map(|line| line.rsplit_once("# handle "));
    handles.next().expect("the chain has a rule").1.to_owned()
}
