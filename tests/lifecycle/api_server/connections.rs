//! What happens to connections of HTTP/2 below the watches changes nothing.

use super::*;
use fairway_testkit::{ApiServer, nft};

fn secure() -> Cluster {
    Cluster::secure(Lab::builder().nodes(2).pods_per_node(1))
}

#[test]
fn a_connection_that_dies_silently_is_replaced() {
    lab::test(|| {
        // Instead of 30 s and 15 s.
        let hurry = [
            ("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "1"),
            ("HTTP2_PING_TIMEOUT_SECONDS", "1"),
        ];
        let cluster = web_of(secure().with_environment(&hurry));
        let server = cluster.api_server();
        let churn = churn(&cluster);
        let lists = lists(server);
        lose_packets(&cluster);
        serve(&cluster, 11, "pod-2-1");
        answered_by(&cluster, 11, "pod-2-1");
        assert_eq!(self::lists(server), lists);
        unhurt(churn);
    });
}

#[test]
fn a_server_that_says_goaway_is_not_asked_for_everything_again() {
    lab::test(|| {
        let cluster = web_of(secure());
        let server = cluster.api_server();
        let monitor = NftMonitor::start(cluster.lab().node("node-1").ns());
        let (lists, accepted) = (lists(server), server.accepted());
        let watches = || KINDS.map(|kind| server.count(Verb::Watch, kind));
        let before = watches();
        server.send_goaway();
        server.end_watches();
        becomes(true, "watches are begun again, elsewhere", || {
            let begun = watches();
            let again = before.iter().zip(begun).all(|(before, now)| now > *before);
            again && server.accepted() > accepted
        });
        assert_eq!(monitor.finish(), [""; 0]);
        serve(&cluster, 11, "pod-2-1");
        answered_by(&cluster, 11, "pod-2-1");
        assert_eq!(self::lists(server), lists);
        let log = cluster.agent("node-1").stderr();
        assert!(!log.contains("cannot reach the API server"), "{log}");
    });
}

fn lists(server: &ApiServer) -> [usize; 2] {
    KINDS.map(|kind| server.count(Verb::List, kind))
}

/// From now on nothing arrives of the API server's connections that are open, at either end.
fn lose_packets(cluster: &Cluster) {
    let peers = cluster.api_server().peers();
    let peers: Vec<_> = peers.iter().map(|peer| peer.port().to_string()).collect();
    let peers = peers.join(", ");
    let script = format!(
        "table inet lost {{
           chain arriving {{ type filter hook input priority 0; tcp sport {{ {peers} }} drop\n}}
           chain leaving {{ type filter hook output priority 0; tcp dport {{ {peers} }} drop\n}}
         }}"
    );
    nft::apply(cluster.lab().control_plane().ns(), &script).unwrap();
}
