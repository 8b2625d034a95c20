//! Two applications behind one load balancer, told apart by host and path.

use fairway_testkit::Family;
use fairway_testkit::ask::Answer;

use super::ask;
use crate::demo::cluster::{API, App, BLOG, Cluster, STOREFRONT};
use crate::demo::curl::Curl;
use crate::demo::screen::Screen;

const KNOWN: [(&str, &str, App); 4] = [
    ("shop.example.com", "/", STOREFRONT),
    ("shop.example.com", "/api", API),
    ("shop.example.com", "/apidocs", STOREFRONT),
    ("blog.example.com", "/", BLOG),
];
const UNKNOWN: &str = "unknown.example.com";

pub(super) fn show(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    screen.step("Two applications behind one load balancer, told apart by host and path")?;
    screen.aside(
        "The load balancer passes connections on to either node; fairway there asks a pod on any",
    )?;
    screen.aside(
        "node, and says for whom (X-Forwarded-For): the load balancer, or the node in between.",
    )?;
    for family in Family::BOTH {
        screen.blank()?;
        let door = cluster.front_door(family);
        let curl = || Curl::new(cluster.lab.client().ns(), door);
        for (host, path, app) in KNOWN {
            let curl = curl().host(host, path);
            ask(cluster, screen, &curl, app, |answer| {
                judge(cluster, answer, path)
            })?;
        }
        let curl = curl().host(UNKNOWN, "/");
        screen.command(curl.machine(), &curl)?;
        let (seen, as_it_should) = match curl.send() {
            Ok(response) => {
                let body = response.text();
                let line = body.lines().next().unwrap_or_default();
                (
                    format!("{}  {line}", response.status.as_u16()),
                    response.status == 404,
                )
            }
            Err(error) => (error.to_string(), false),
        };
        let wrong = format!("nobody serves {UNKNOWN}: the answer should be 404");
        screen.check(seen.trim_end(), (!as_it_should).then_some(wrong))?;
    }
    Ok(())
}

/// The pod's client is a router, on some node; the router's client is the load balancer, or the node
/// that passed the connection on.
fn judge(cluster: &Cluster, answer: &Answer, path: &str) -> Result<String, String> {
    let is_node = |name: &str| cluster.lab.nodes().iter().any(|node| node.name() == name);
    if answer.path != path {
        return Err(format!("the pod was asked for {}", answer.path));
    }
    if !is_node(&cluster.owner(answer.peer.ip())) {
        return Err("the pod should be asked by a node".to_owned());
    }
    let forwarded = answer.header("x-forwarded-for");
    let [client] = forwarded.as_slice() else {
        return Err(format!(
            "one X-Forwarded-For should be there, not {forwarded:?}"
        ));
    };
    let owner = match client.parse() {
        Ok(address) => cluster.owner(address),
        Err(_) => return Err(format!("X-Forwarded-For is {client}")),
    };
    if owner != cluster.lab.balancer().name() && !is_node(&owner) {
        return Err(format!("X-Forwarded-For is {client} ({owner})"));
    }
    Ok(format!("for {owner} {client}"))
}
