//! `--flow-table-interfaces`: established connections skip the chains where the kernel can do that. One
//! that cannot is all that this was ever run on; there, the agent says so and nothing else differs.

use std::time::Duration;

use fairway_testkit::ask::Conversation;
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::endpoint_slice;
use fairway_testkit::{Echo, Family, Lab, nft};

use crate::support::{Cluster, Feed, fed_both_ways, who};

fed_both_ways!(services_work_with_and_without_a_flow_table);

const PATIENCE: Duration = Duration::from_secs(20);

fn services_work_with_and_without_a_flow_table(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let cluster = cluster.with_further_flags(&["--flow-table-interfaces", "lo,not-there"]);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let kernel_can = can_have_flow_tables(node.ns());
    let service = cluster.service("web", 10).tcp("", 80);
    cluster.apply("service", [service]);
    let slice = |family| {
        endpoint_slice("web", family)
            .tcp("", Echo::LINES)
            .pod(&lab.pod("pod-2-1"))
    };
    cluster.apply("slices", Family::BOTH.map(slice));
    cluster.start();
    let agent = cluster.agent("node-1");
    if kernel_can {
        let line = "established connections through Services skip the chains";
        agent.wait_for_log(line, PATIENCE).unwrap();
        let table = flows(node.ns()).expect("the table of the flow table");
        assert!(table.contains("flow add @services"), "{table}");
    } else {
        agent.wait_for_log("no flow table", PATIENCE).unwrap();
        assert_eq!(flows(node.ns()), None);
    }
    for family in Family::BOTH {
        let server = cluster.cluster_ip(family, 10, 80);
        let talk = Conversation::tcp(lab.pod("pod-1-1").ns(), server).unwrap();
        for _ in 0..3 {
            assert_eq!(who(talk.ask()).as_deref(), Ok("pod-2-1"), "{family:?}");
        }
    }
}

/// What nft prints of the table.
fn flows(namespace: &Namespace) -> Option<String> {
    let ruleset = nft::list_ruleset(namespace).unwrap();
    let start = ruleset.find("table inet fairway-flows")?;
    Some(ruleset[start..].to_owned())
}

/// Tries it, and leaves nothing behind.
fn can_have_flow_tables(namespace: &Namespace) -> bool {
    let table =
        "table inet probe { flowtable probe { hook ingress priority 0; devices = { lo }; }; }";
    let added = nft::apply(namespace, table).is_ok();
    nft::apply(namespace, "add table inet probe; delete table inet probe").unwrap();
    added
}
