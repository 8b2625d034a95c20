use fairway_model::{Weight, Weighted, Weights};
use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::address::{address, range};
use crate::problem::{Quoted, Report};

pub(super) const WEIGHTS: &str = "fairway.dev/endpoint-weights";

/// More entries than this are a mistake: each endpoint is compared with each of them.
const MOST_ENTRIES: usize = 64;

/// The weights of a Service's endpoints: `zone/eu-1=3, node/worker-7=1, 10.244.3.0/24=0`. All of the
/// annotation counts, or none of it.
pub(super) fn weights(metadata: &ObjectMeta, report: &mut Report) -> Weights {
    let annotations = metadata.annotations.as_ref();
    let Some(text) = annotations.and_then(|annotations| annotations.get(WEIGHTS)) else {
        return Weights::default();
    };
    let entries = text.split(',').map(str::trim);
    let entries: Vec<&str> = entries.filter(|entry| !entry.is_empty()).collect();
    let mut invalid = |message: std::fmt::Arguments<'_>| {
        let field = format_args!("metadata.annotations[{WEIGHTS}]").to_string();
        report.invalid(
            field,
            format_args!("{message}; all endpoints have the same weight"),
        );
        Weights::default()
    };
    if entries.len() > MOST_ENTRIES {
        return invalid(format_args!("has more than {MOST_ENTRIES} entries"));
    }
    let mut weights = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(weight) = parse(entry) else {
            return invalid(format_args!(
                "{} is not zone/NAME, node/NAME or a network, with = and 0 to {}",
                Quoted(entry),
                Weight::LARGEST
            ));
        };
        weights.push(weight);
    }
    Weights(weights)
}

fn parse(entry: &str) -> Option<Weight> {
    let (of, weight) = entry.split_once('=')?;
    let of = of.trim();
    let name = |name: &str| (!name.is_empty()).then(|| name.into());
    let of = match of.split_once('/') {
        Some(("zone", zone)) => Weighted::Zone(name(zone)?),
        Some(("node", node)) => Weighted::Node(name(node)?),
        Some(_) => Weighted::Network(range(of)?),
        None => Weighted::Network(IpNet::from(address(of)?)),
    };
    let weight = weight.trim().parse().ok();
    let weight = weight.filter(|weight| *weight <= Weight::LARGEST)?;
    Some(Weight { of, weight })
}
