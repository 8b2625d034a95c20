//! What is shown, step by step. Each shows the command that a person would type and what came of it.

mod cluster_ip;
mod hosts;
mod kernel;
mod no_endpoints;
mod node_ports;
mod pods_change;

use std::net::IpAddr;

use fairway_testkit::ask::{Answer, AskError, Response};

use super::cluster::{App, Cluster};
use super::curl::Curl;
use super::screen::Screen;

/// All steps, in an order in which each needs only what was shown before.
pub(super) fn all(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    cluster_ip::show(cluster, screen)?;
    node_ports::show(cluster, screen)?;
    hosts::show(cluster, screen)?;
    kernel::show(cluster, screen)?;
    pods_change::show(cluster, screen)?;
    no_endpoints::show(cluster, screen)
}

/// Makes a request, shows it and the answer, which must come from a pod of the application.
/// `judge` says what the answer shows, or else what is wrong with it.
fn ask(
    cluster: &Cluster,
    screen: &mut Screen,
    curl: &Curl,
    app: App,
    judge: impl FnOnce(&Answer) -> Result<String, String>,
) -> anyhow::Result<()> {
    screen.command(curl.machine(), curl)?;
    let response = curl.send();
    let answer = match answer(response) {
        Ok(answer) => answer,
        Err(instead) => {
            let wanted = format!("{curl} should be answered by a pod of {}", app.object());
            screen.check(&instead, Some(wanted))?;
            return Ok(());
        }
    };
    let pods = cluster.pods(app);
    let judgement = match pods.iter().any(|pod| pod.name() == answer.pod) {
        true => judge(&answer),
        false => Err(format!("{} is no pod of {}", answer.pod, app.object())),
    };
    let pod = format!("{} on {}", answer.pod, answer.node);
    let peer = named(cluster, answer.peer.ip());
    let seen = format!("200  {pod:<22}  saw {peer:<29}");
    match judgement {
        Ok(remark) => screen.check(format!("{seen}  {remark}").trim_end(), None)?,
        Err(wrong) => screen.check(seen.trim_end(), Some(wrong))?,
    }
    Ok(())
}

/// What a pod answered, or else what happened.
fn answer(response: Result<Response, AskError>) -> Result<Answer, String> {
    let response = response.map_err(|error| error.to_string())?;
    let answer = response.answer().filter(|_| response.status == 200);
    answer.ok_or_else(|| response.status.to_string())
}

/// An address with its owner.
fn named(cluster: &Cluster, address: IpAddr) -> String {
    format!("{} {address}", cluster.owner(address))
}
