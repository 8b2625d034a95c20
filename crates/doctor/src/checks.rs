//! From facts to findings. Pure.

mod bridges;
mod chains;
mod cluster;
mod kernel;
mod pod_network;
mod ports;
mod proxies;
mod settings;
#[cfg(test)]
mod tests;

use crate::{Facts, Finding};

/// Every look at the facts, in the order in which people should read them.
pub fn check(facts: &Facts) -> Vec<Finding> {
    let checks: [fn(&Facts) -> Vec<Finding>; 8] = [
        kernel::check,
        settings::check,
        bridges::check,
        chains::check,
        proxies::check,
        ports::check,
        pod_network::check,
        cluster::check,
    ];
    checks.iter().flat_map(|check| check(facts)).collect()
}
