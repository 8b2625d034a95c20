//! Connections that die without a word: their packets are lost, and neither end is told.

use std::net::TcpListener;

use fairway_testkit::apiserver::Secure;
use fairway_testkit::lab::{self, Namespace};
use fairway_testkit::nft;

use super::shared_connections::Shop;
use super::*;
use crate::api::client::LIMITS;
use crate::api::transport::{Limits, Pings};

const SECRETS: usize = 20;

/// Finds a dead connection by a ping only.
const PINGS: Limits = Limits {
    pings: Some(Pings {
        after: Duration::from_millis(100),
        timeout: SECOND,
    }),
    ..LIMITS
};

/// Finds one by its silence only. Bookmarks come more often.
const SILENCE: Limits = Limits {
    silence: SECOND,
    pings: None,
    ..LIMITS
};

#[test]
fn pings_find_it() {
    in_a_network(Some(Secure::Http2 { streams: 10 }), PINGS);
}

#[test]
fn without_pings_silence_does() {
    in_a_network(Some(Secure::Http2 { streams: 100 }), SILENCE);
}

#[test]
fn so_it_does_where_http2_is_not_spoken() {
    in_a_network(Some(Secure::Http1), SILENCE);
}

#[test]
fn so_it_does_in_clear_text() {
    in_a_network(None, SILENCE);
}

/// Follows Secrets, loses all packets of the connections there are, and wants to hear what changes
/// afterwards, without a new list.
fn in_a_network(secure: Option<Secure>, limits: Limits) {
    lab::test(|| {
        let network = Namespace::new("api").unwrap();
        let server = network.run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            match secure {
                Some(secure) => ApiServer::start_secure_on(listener, secure),
                None => ApiServer::start_on(listener),
            }
        });
        let server = server.unwrap();
        server.set_bookmark_interval(Duration::from_millis(200));
        network.block_on(async {
            let mut shop = Shop::open_with(server, limits, SECRETS).await;
            lose_packets(&network, &shop.server);
            shop.change_all(SECRETS, "bmV3");
            assert_eq!(shop.seen(SECRETS).await, SECRETS);
            assert_eq!(shop.server.count(Verb::List, "secrets"), SECRETS);
            assert_eq!(shop.server.count(Verb::List, "services"), 1);
        });
    });
}

/// From now on nothing arrives of the connections that are open, at either end.
fn lose_packets(network: &Namespace, server: &ApiServer) {
    let peers = server.peers();
    assert!(!peers.is_empty());
    let peers: Vec<_> = peers.iter().map(|peer| peer.port().to_string()).collect();
    let (peers, server) = (peers.join(", "), server.address().port());
    let script = format!(
        "table inet lost {{ chain arriving {{ type filter hook input priority 0;
           tcp sport {{ {peers} }} tcp dport {server} drop
           tcp dport {{ {peers} }} tcp sport {server} drop
         }}\n}}"
    );
    nft::apply(network, &script).unwrap();
}
