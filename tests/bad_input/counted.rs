use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fairway_testkit::ask;
use fairway_testkit::lab::Node;

use crate::support::becomes;

/// Where the agent's metrics are.
const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10249);

/// How many problems the agent of a node counts.
pub(super) struct Counted<'a>(pub(super) &'a Node);

impl Counted<'_> {
    /// Waits until there are so many of a kind and reason now, and since the start.
    #[track_caller]
    pub(super) fn becomes(&self, kind: &str, reason: &str, counts: [u32; 2]) {
        let labels = format!("{{kind=\"{kind}\",reason=\"{reason}\"}} ");
        let counts = counts.map(|count| Some(count.to_string()));
        becomes(counts, &format!("the problems{labels}"), || {
            let metrics = ask::http_get(self.0.ns(), METRICS, "node", "/metrics").unwrap();
            let text = metrics.text();
            ["", "_total"].map(|suffix| {
                let series = format!("fairway_object_problems{suffix}{labels}");
                let mut lines = text.lines();
                let value = lines.find_map(|line| line.strip_prefix(&series));
                value.map(str::to_owned)
            })
        });
    }
}
