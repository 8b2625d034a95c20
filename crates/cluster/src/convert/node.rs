use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::Node;
use ipnet::IpNet;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::api::networking::v1::ServiceCIDR;

use super::address::{address, range};
use super::label;
use crate::problem::{Quoted, Report};

const ZONE: &str = "topology.kubernetes.io/zone";
/// The autoscaler's taint on a node that it is about to delete.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// Node names are compared like host names: without white space and case.
pub(crate) fn normal_name(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The facts of our own node; the ServiceCIDRs come from elsewhere.
pub(crate) fn node(object: &api::Node, name: &Arc<str>, report: &mut Report) -> Node {
    let spec = object.spec.as_ref();
    let taints = spec.and_then(|spec| spec.taints.as_ref());
    let tainted = taints
        .into_iter()
        .flatten()
        .any(|taint| taint.key == TO_BE_DELETED);
    Node {
        name: name.clone(),
        zone: label(&object.metadata, ZONE)
            .filter(|zone| !zone.is_empty())
            .map(Into::into),
        addresses: addresses(object, report),
        pod_cidrs: pod_cidrs(object, report),
        service_cidrs: Vec::new(),
        leaving: tainted || object.metadata.deletion_timestamp.is_some(),
    }
}

/// Internal addresses first: they are what the cluster reaches the node by.
fn addresses(object: &api::Node, report: &mut Report) -> Vec<IpAddr> {
    let status = object.status.as_ref();
    let all = status.and_then(|status| status.addresses.as_deref());
    let all = all.unwrap_or_default();
    let mut addresses = Vec::new();
    for wanted in ["InternalIP", "ExternalIP"] {
        for (at, object) in all.iter().enumerate() {
            if object.type_ != wanted {
                continue;
            }
            match address(&object.address) {
                Some(address) if !addresses.contains(&address) => addresses.push(address),
                Some(_) => {}
                None => report.invalid(
                    format_args!("status.addresses[{at}].address"),
                    format_args!(
                        "{} is not an IP address; it is left out",
                        Quoted(&object.address)
                    ),
                ),
            }
        }
    }
    addresses
}

fn pod_cidrs(object: &api::Node, report: &mut Report) -> Vec<IpNet> {
    let Some(spec) = object.spec.as_ref() else {
        return Vec::new();
    };
    match spec.pod_cidrs.as_deref().unwrap_or_default() {
        [] => ranges(spec.pod_cidr.iter(), "spec.podCIDR", report),
        several => ranges(several.iter(), "spec.podCIDRs", report),
    }
}

/// The ranges that one ServiceCIDR object gives to ClusterIPs.
pub(crate) fn service_cidrs(object: &ServiceCIDR, report: &mut Report) -> Vec<IpNet> {
    let cidrs = object.spec.as_ref().and_then(|spec| spec.cidrs.as_ref());
    ranges(cidrs.into_iter().flatten(), "spec.cidrs", report)
}

fn ranges<'a>(
    texts: impl Iterator<Item = &'a String>,
    field: &str,
    report: &mut Report,
) -> Vec<IpNet> {
    let texts = texts.filter(|text| !text.is_empty()).enumerate();
    texts
        .filter_map(|(at, text)| {
            let range = range(text);
            if range.is_none() {
                let message = "is not a CIDR; it is left out";
                report.invalid(
                    format_args!("{field}[{at}]"),
                    format_args!("{} {message}", Quoted(text)),
                );
            }
            range
        })
        .collect()
}

#[cfg(test)]
mod tests;
