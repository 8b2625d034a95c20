//! Which endpoints new connections go to.

use fairway_model::{Endpoint, Node, preferred};

use crate::Family;

#[cfg(test)]
mod tests;

/// The endpoints for clients anywhere: the ready ones that topology hints leave, or, when nothing
/// is ready, those that still serve while they terminate. Empty only if nothing can answer at all.
pub(crate) fn cluster<'a>(
    endpoints: &'a [Endpoint],
    family: Family,
    node: &Node,
) -> Vec<&'a Endpoint> {
    let candidates = || in_family(endpoints, family);
    let ready: Vec<_> = candidates().filter(is_ready).collect();
    match ready.is_empty() {
        true => candidates().filter(is_draining).collect(),
        false => preferred(ready, node),
    }
}

/// The endpoints on this node, for a `Local` traffic policy. Hints do not matter, and neither does
/// what is ready elsewhere: the last pod of a node serves until it is gone.
pub(crate) fn local<'a>(
    endpoints: &'a [Endpoint],
    family: Family,
    node: &Node,
) -> Vec<&'a Endpoint> {
    let candidates =
        || in_family(endpoints, family).filter(|endpoint: &&Endpoint| endpoint.is_on(&node.name));
    let ready: Vec<_> = candidates().filter(is_ready).collect();
    match ready.is_empty() {
        true => candidates().filter(is_draining).collect(),
        false => ready,
    }
}

fn in_family(endpoints: &[Endpoint], family: Family) -> impl Iterator<Item = &Endpoint> {
    endpoints
        .iter()
        .filter(move |endpoint| Family::of(endpoint.address) == family)
}

fn is_ready(endpoint: &&Endpoint) -> bool {
    endpoint.conditions.ready
}

fn is_draining(endpoint: &&Endpoint) -> bool {
    endpoint.conditions.is_serving_while_terminating()
}
