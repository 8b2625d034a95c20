//! A machine outside calls a Service at a port of any node.

use std::net::SocketAddr;

use fairway_testkit::Family;

use super::ask;
use crate::demo::cluster::{API, Cluster};
use crate::demo::curl::Curl;
use crate::demo::screen::Screen;

pub(super) fn show(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    screen.step("A machine outside calls a Service at its node port, on either node")?;
    let port = cluster.node_port(API)?;
    for family in Family::BOTH {
        for node in cluster.lab.nodes() {
            let server = SocketAddr::new(node.ip(family), port);
            let curl = Curl::new(cluster.lab.client().ns(), server);
            ask(cluster, screen, &curl, API, |answer| {
                match cluster.owner(answer.peer.ip()) == node.name() {
                    true => Ok("masqueraded".to_owned()),
                    false => Err(format!("the pod should see {}", node.name())),
                }
            })?;
        }
    }
    screen.blank()?;
    screen.aside(
        "Masqueraded: any node takes the request for a pod of any other, and the reply must come",
    )?;
    screen.aside("back by way of it.")?;
    Ok(())
}
