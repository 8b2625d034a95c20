//! An application without pods.

use std::net::SocketAddr;
use std::time::Instant;

use fairway_testkit::Family;
use fairway_testkit::ask::Failure;

use super::answer;
use crate::demo::cluster::{BLOG, Cluster, until};
use crate::demo::curl::Curl;
use crate::demo::screen::Screen;
use crate::demo::style::milliseconds;

pub(super) fn show(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    screen.step("The blog's only pod is away, and comes back")?;
    let caller = cluster.lab.pod("storefront-1");
    let client = cluster.lab.client();
    let by_address = |server: SocketAddr| Curl::new(caller.ns(), server);
    let by_host = |server| Curl::new(client.ns(), server).host("blog.example.com", "/");

    let pods = cluster.pods(BLOG);
    cluster.publish(BLOG, &[])?;
    for family in Family::BOTH {
        let curl = by_address(cluster.cluster_ip(BLOG, family)?);
        let refused = || matches!(curl.send(), Err(error) if error.failure() == Failure::Refused);
        until(refused);
        screen.command(curl.machine(), &curl)?;
        let start = Instant::now();
        let outcome = curl.send();
        let took = milliseconds(start.elapsed());
        let (seen, wrong) = match outcome {
            Err(error) if error.failure() == Failure::Refused => {
                (format!("connection refused, after {took}"), None)
            }
            Err(error) => (error.to_string(), Some("it should be refused at once")),
            Ok(response) => (response.status.to_string(), Some("nobody should answer")),
        };
        screen.check(&seen, wrong.map(str::to_owned))?;
    }
    let curl = by_host(cluster.front_door(Family::V4));
    // Each node learns of it in its own time, and the load balancer takes turns.
    let status = || curl.send().map(|response| response.status.as_u16());
    let unavailable = || (0..4).all(|_| matches!(status(), Ok(503)));
    until(unavailable);
    screen.command(curl.machine(), &curl)?;
    let (seen, right) = match curl.send() {
        Ok(response) => (response.status.to_string(), response.status == 503),
        Err(error) => (error.to_string(), false),
    };
    let wrong = "the router should answer 503 for an application without pods";
    screen.check(&seen, (!right).then(|| wrong.to_owned()))?;

    cluster.publish(BLOG, &pods)?;
    screen.blank()?;
    for curl in [
        by_address(cluster.cluster_ip(BLOG, Family::V4)?),
        by_host(cluster.front_door(Family::V4)),
    ] {
        let back = || (0..4).all(|_| answer(curl.send()).is_ok());
        until(back);
        super::ask(cluster, screen, &curl, BLOG, |_| Ok("back".to_owned()))?;
    }
    Ok(())
}
