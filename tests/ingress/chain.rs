//! The whole way: client, load balancer, node port of either node, router of either node, pod of
//! either node.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use fairway_testkit::ask;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Balancer, Family, Lab, eventually};

use super::site::{Site, app};
use crate::support::{Feed, fed_both_ways};

fed_both_ways!(every_way_to_every_pod);

const NODE_PORT: u16 = 30080;

fn every_way_to_every_pod(feed: Feed) {
    let site = Site::start(feed, Lab::builder().nodes(2).pods_per_node(1));
    let lab = site.lab();
    let _balancer = Balancer::start(lab, 80, NODE_PORT).unwrap();
    site.expose_routers(NODE_PORT);
    site.apply("app", app("web", &lab.pods()));
    site.apply(
        "web",
        [ingress("web")
            .class("fairway")
            .prefix("shop.example.com", "/", "web", 80)],
    );

    for family in Family::BOTH {
        let nodes = lab
            .nodes()
            .iter()
            .map(|node| SocketAddr::new(node.ip(family), NODE_PORT));
        let balancer = SocketAddr::new(lab.balancer().ip(family), 80);
        for entry in nodes.chain([balancer]) {
            reach_all_pods(&site, entry);
        }
    }
}

/// Asks until each router has passed a request on to each pod.
fn reach_all_pods(site: &Site, entry: SocketAddr) {
    let lab = site.lab();
    let host = "shop.example.com:80";
    let mut missing: BTreeSet<(String, String)> = BTreeSet::new();
    for node in lab.nodes() {
        missing.extend(
            lab.pods()
                .iter()
                .map(|pod| (node.name().to_owned(), pod.name().to_owned())),
        );
    }
    eventually(
        &format!("{entry} leads to every router and every pod"),
        || {
            let response = ask::http_get(lab.client().ns(), entry, host, "/cart?item=1");
            let response = response.map_err(|error| error.to_string())?;
            let Some(answer) = response.answer() else {
                return Err(format!("{}", response.status));
            };
            assert_eq!(
                (answer.path.as_str(), answer.query.as_deref()),
                ("/cart", Some("item=1"))
            );
            assert_eq!(answer.header("host"), [host]);
            assert_eq!(answer.header("x-forwarded-host"), [host]);
            assert_eq!(answer.header("x-forwarded-proto"), ["http"]);
            // Whoever translated the node port; only PROXY protocol will tell of the client itself.
            let [client] = answer.header("x-forwarded-for")[..] else {
                panic!("{answer:?}");
            };
            let client: IpAddr = client.parse().unwrap();
            assert_eq!(client.is_ipv4(), entry.is_ipv4(), "{client} of {entry}");
            assert_eq!(answer.header("x-real-ip"), [client.to_string()]);

            missing.remove(&(router(site, answer.peer.ip()), answer.pod));
            if missing.is_empty() {
                Ok(())
            } else {
                Err(format!("not yet seen: {missing:?}"))
            }
        },
    );
}

/// The node whose router has connected to a pod: by its own address, or as the pods' gateway.
fn router(site: &Site, peer: IpAddr) -> String {
    let mut nodes = site.lab().nodes().iter();
    let family = Family::of(peer);
    let node = nodes.find(|node| [node.ip(family), node.pod_gateway(family)].contains(&peer));
    node.unwrap_or_else(|| panic!("{peer} is no node"))
        .name()
        .to_owned()
}
