use std::sync::Arc;

use crate::{Endpoint, Hints, Node};

/// Leaves the endpoints meant for this node, else those meant for its zone, as topology hints say. Hints
/// of a kind count only if every endpoint has one: a list that is hinted by half is about to change.
pub fn preferred<'a>(endpoints: Vec<&'a Endpoint>, node: &Node) -> Vec<&'a Endpoint> {
    type Names = fn(&Hints) -> &[Arc<str>];
    let kinds: [(Option<&str>, Names); 2] = [
        (Some(&node.name), |hints| &hints.nodes),
        (node.zone.as_deref(), |hints| &hints.zones),
    ];
    for (here, names) in kinds {
        let Some(here) = here else {
            continue;
        };
        let names = |endpoint: &'a Endpoint| endpoint.hints.as_deref().map_or(&[][..], names);
        if endpoints.iter().any(|endpoint| names(endpoint).is_empty()) {
            continue;
        }
        let kept: Vec<_> = endpoints
            .iter()
            .copied()
            .filter(|endpoint| names(endpoint).iter().any(|name| **name == *here))
            .collect();
        if !kept.is_empty() {
            return kept;
        }
    }
    endpoints
}
