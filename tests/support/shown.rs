//! What the status page shows, as JSON.

use fairway_testkit::{ask, eventually};
use serde_json::Value;

use super::Cluster;

/// Reason and message of each problem that the agent of the first node shows; None while it does not answer.
pub(crate) fn problems(cluster: &Cluster) -> Option<Vec<(String, String)>> {
    let node = cluster.lab().node("node-1").ns();
    let metrics = ([127, 0, 0, 1], 10249).into();
    let answer = ask::http_get(node, metrics, "localhost", "/status.json?view=problems").ok()?;
    let document: Value = serde_json::from_str(&answer.text()).ok()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = document["list"]["items"].as_array()?.iter();
    Some(
        items
            .map(|item| (text(&item["reason"]), text(&item["message"])))
            .collect(),
    )
}

/// Waits until a problem is shown.
pub(crate) fn shows_problem(cluster: &Cluster, reason: &str, message: &str) {
    eventually(&format!("{reason} on the status page"), || {
        let shown = problems(cluster);
        let is_it = |(why, text): &(String, String)| why == reason && text.contains(message);
        match shown.iter().flatten().any(is_it) {
            true => Ok(()),
            false => Err(format!("{shown:?}")),
        }
    });
}
