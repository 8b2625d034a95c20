use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use fairway_model::HostPattern;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressLoadBalancerIngress};

use crate::convert::address::address;
use crate::convert::host::host;
use crate::index::Interner;

/// One place where clients reach an Ingress.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusAddress {
    /// An address.
    Ip(IpAddr),
    /// A DNS name.
    Hostname(Box<str>),
}

/// A text that is neither an address nor a DNS name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither an IP address nor a DNS name")]
pub struct AddressError;

impl FromStr for StatusAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(address) = address(text) {
            return Ok(Self::Ip(address));
        }
        let text = text.trim().to_ascii_lowercase();
        match host(&text, &mut Interner::default()) {
            Ok(HostPattern::Exact(name)) => Ok(Self::Hostname((&*name).into())),
            _ => Err(AddressError),
        }
    }
}

impl fmt::Display for StatusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Hostname(name) => f.write_str(name),
        }
    }
}

impl From<&StatusAddress> for IngressLoadBalancerIngress {
    fn from(address: &StatusAddress) -> Self {
        let text = Some(address.to_string());
        match address {
            StatusAddress::Ip(_) => Self {
                ip: text,
                ..Self::default()
            },
            StatusAddress::Hostname(_) => Self {
                hostname: text,
                ..Self::default()
            },
        }
    }
}

/// Sorted, without duplicates: equal sets are equal lists.
pub(super) fn sorted(addresses: impl IntoIterator<Item = StatusAddress>) -> Vec<StatusAddress> {
    let mut addresses: Vec<_> = addresses.into_iter().collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Where a Service is reached from outside, as far as that is known.
pub(super) fn of_service(service: &Service) -> Vec<StatusAddress> {
    let empty = Default::default();
    let spec = service.spec.as_ref().unwrap_or(&empty);
    if spec.type_.as_deref() == Some("ExternalName") {
        return parsed(&spec.external_name);
    }
    let status = service.status.as_ref();
    let balancer = status.and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref());
    let ingress = ingress.into_iter().flatten();
    let mut addresses = parsed(ingress.flat_map(|it| it.ip.iter().chain(&it.hostname)));
    addresses.extend(parsed(spec.external_ips.iter().flatten()));
    // A balancer that is still being made has no address, and no other will do.
    if addresses.is_empty() && spec.type_.as_deref() != Some("LoadBalancer") {
        addresses = parsed(spec.cluster_ips.iter().flatten());
    }
    addresses
}

/// Where a Node is reached; nothing for one that should get no traffic.
pub(super) fn of_node(node: &Node) -> Vec<StatusAddress> {
    let metadata = &node.metadata;
    let labels = metadata.labels.as_ref();
    let excluded = labels.is_some_and(|labels| {
        labels.contains_key("node.kubernetes.io/exclude-from-external-load-balancers")
    });
    let Some(status) = &node.status else {
        return Vec::new();
    };
    let mut conditions = status.conditions.iter().flatten();
    let ready = conditions.any(|it| it.type_ == "Ready" && it.status == "True");
    if excluded || !ready || metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let of_type = |wanted| {
        let addresses = status.addresses.iter().flatten();
        parsed(
            addresses
                .filter(|it| it.type_ == wanted)
                .map(|it| &it.address),
        )
    };
    match of_type("ExternalIP") {
        external if !external.is_empty() => external,
        _ => of_type("InternalIP"),
    }
}

/// What an Ingress says now. What cannot be read counts too: it is not what it should be.
pub(super) fn of_ingress(ingress: &Ingress) -> Vec<StatusAddress> {
    let status = ingress.status.as_ref();
    let balancer = status.and_then(|status| status.load_balancer.as_ref());
    let entries = balancer.and_then(|balancer| balancer.ingress.as_ref());
    let entries = entries.into_iter().flatten();
    sorted(entries.flat_map(|entry| {
        let texts = entry.ip.iter().chain(&entry.hostname);
        texts.map(|text| {
            let unreadable = |_| StatusAddress::Hostname(text.as_str().into());
            text.parse().unwrap_or_else(unreadable)
        })
    }))
}

fn parsed<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<StatusAddress> {
    let texts = texts.into_iter();
    texts.filter_map(|text| text.parse().ok()).collect()
}
