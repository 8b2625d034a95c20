//! Pods and nodes call a Service by its ClusterIP.

use std::collections::BTreeMap;

use fairway_testkit::Family;

use super::{answer, ask};
use crate::demo::cluster::{API, Cluster};
use crate::demo::curl::Curl;
use crate::demo::screen::Screen;

/// So many requests show how they are spread: too many for a pod to be left out by chance.
const MANY: usize = 100;
const WIDEST_BAR: usize = 50;

pub(super) fn show(cluster: &Cluster, screen: &mut Screen) -> anyhow::Result<()> {
    screen.step("Pods and nodes call a Service by its ClusterIP")?;
    screen
        .aside("Pods say who they are and whom they saw: the client's own address, or a node's.")?;
    screen.blank()?;
    for family in Family::BOTH {
        let api = cluster.cluster_ip(API, family)?;

        let caller = cluster.lab.pod("storefront-1");
        let curl = Curl::new(caller.ns(), api);
        ask(cluster, screen, &curl, API, |answer| {
            match answer.peer.ip() == caller.ip(family) {
                true => Ok("the caller itself".to_owned()),
                false => Err("a pod's address should be kept".to_owned()),
            }
        })?;

        let node = cluster.lab.node("node-1");
        let curl = Curl::new(node.ns(), api);
        ask(cluster, screen, &curl, API, |answer| {
            match cluster.owner(answer.peer.ip()) == node.name() {
                true => Ok("the caller itself".to_owned()),
                false => Err("the pod should see the node that called".to_owned()),
            }
        })?;
    }
    screen.blank()?;
    for family in Family::BOTH {
        hairpin(cluster, screen, family)?;
    }
    screen.blank()?;
    for family in Family::BOTH {
        spread(cluster, screen, family)?;
    }
    Ok(())
}

/// A pod that is sent to itself must see its node, or it would answer itself directly, with an
/// address that its own connection does not know.
fn hairpin(cluster: &Cluster, screen: &mut Screen, family: Family) -> anyhow::Result<()> {
    let pod = cluster.lab.pod("api-1");
    let curl = Curl::new(pod.ns(), cluster.cluster_ip(API, family)?);
    // Until chance picks the pod itself.
    let own = |curl: &Curl| {
        (0..MANY).find_map(|_| {
            let answer = answer(curl.send());
            let is_own = answer
                .as_ref()
                .map_or(true, |answer| answer.pod == pod.name());
            is_own.then_some(answer)
        })
    };
    screen.command(curl.machine(), &curl)?;
    match own(&curl) {
        Some(Ok(answer)) => {
            let peer = super::named(cluster, answer.peer.ip());
            let seen = format!(
                "200  {:<22}  saw {peer:<29}  itself: masqueraded",
                "api-1 on node-1"
            );
            let is_node = cluster.owner(answer.peer.ip()) == answer.node;
            let wrong = "a pod that reaches itself should see its node's address";
            screen.check(&seen, (!is_node).then(|| wrong.to_owned()))?;
        }
        Some(Err(instead)) => screen.check(&instead, Some(format!("{curl} should be answered")))?,
        None => screen.check(
            "never itself",
            Some(format!("api-1 never got its own request in {MANY}")),
        )?,
    }
    Ok(())
}

/// Connections are spread evenly, by chance.
fn spread(cluster: &Cluster, screen: &mut Screen, family: Family) -> anyhow::Result<()> {
    let caller = cluster.lab.pod("storefront-1");
    let curl = Curl::new(caller.ns(), cluster.cluster_ip(API, family)?);
    let mut pods: BTreeMap<String, usize> = BTreeMap::new();
    for pod in cluster.pods(API) {
        pods.insert(pod.name().to_owned(), 0);
    }
    let mut failure = None;
    for _ in 0..MANY {
        match answer(curl.send()) {
            Ok(answer) => *pods.entry(answer.pod).or_default() += 1,
            Err(instead) => {
                failure = Some(instead);
                break;
            }
        }
    }
    screen.command(
        curl.machine(),
        format_args!("for i in $(seq {MANY}); do {curl}; done"),
    )?;
    let bars: Vec<_> = pods
        .iter()
        .map(|(pod, number)| {
            let bar = "█".repeat(number * WIDEST_BAR / MANY);
            format!("{pod} {bar} {number}")
        })
        .collect();
    let left_out = pods.values().any(|number| *number == 0);
    let wrong = match failure {
        Some(failure) => Some(format!("one of them failed: {failure}")),
        None if left_out => Some("every pod should get some of them".to_owned()),
        None => None,
    };
    screen.check(&bars.join("   "), wrong)?;
    Ok(())
}
