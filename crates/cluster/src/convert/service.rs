use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::{Affinity, ObjectName, Service, ServiceKind, ServicePort, TrafficPolicy};
use ipnet::IpNet;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::address::{address, not_a_service, range};
use super::balance::balance;
use super::ignored;
use super::weights::weights;
use super::{created, label, port, protocol};
use crate::index::Interner;
use crate::problem::{Quoted, Report};

/// The label that gives a Service to another service proxy, whatever its value.
const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";

/// The API's default for a client's stay with its endpoint: three hours.
const AFFINITY_SECONDS: u32 = 10_800;

/// A Service without its endpoints.
pub(crate) fn service(
    object: &api::Service,
    name: ObjectName,
    names: &mut Interner,
    report: &mut Report,
) -> Service {
    let empty = api::ServiceSpec::default();
    let spec = object.spec.as_ref().unwrap_or(&empty);
    let kind = kind(spec, report);
    let external_policy = policy(
        spec.external_traffic_policy.as_deref(),
        "spec.externalTrafficPolicy",
        report,
    );
    ignored::of_service(&object.metadata, report);
    let mut service = Service {
        created: created(&object.metadata),
        proxied_elsewhere: label(&object.metadata, PROXY_NAME).is_some(),
        cluster_ips: cluster_ips(spec, &kind, report),
        external_ips: external_ips(spec, report),
        load_balancer_ips: Vec::new(),
        proxied_ips: Vec::new(),
        source_ranges: Vec::new(),
        internal_policy: policy(
            spec.internal_traffic_policy.as_deref(),
            "spec.internalTrafficPolicy",
            report,
        ),
        external_policy,
        affinity: affinity(spec, report),
        balance: balance(&object.metadata, report),
        weights: weights(&object.metadata, report),
        health_check_node_port: None,
        ports: ports(spec, &kind, names, report),
        name,
        kind,
    };
    if service.kind == ServiceKind::LoadBalancer {
        (service.load_balancer_ips, service.proxied_ips) = load_balancer_ips(object, report);
        match source_ranges(spec, report) {
            Ok(ranges) => service.source_ranges = ranges,
            // Open to nobody rather than to everybody.
            Err(NoRange) => service.load_balancer_ips.clear(),
        }
        if external_policy == TrafficPolicy::Local {
            let number = spec.health_check_node_port.unwrap_or_default();
            service.health_check_node_port = node_port(number, "spec.healthCheckNodePort", report);
        }
    }
    // Kept for as long as the Service lives.
    service.cluster_ips.shrink_to_fit();
    service.ports.shrink_to_fit();
    service
}

fn kind(spec: &api::ServiceSpec, report: &mut Report) -> ServiceKind {
    match spec.type_.as_deref().unwrap_or_default() {
        "" | "ClusterIP" => ServiceKind::ClusterIp,
        "NodePort" => ServiceKind::NodePort,
        "LoadBalancer" => ServiceKind::LoadBalancer,
        "ExternalName" => {
            let name = spec.external_name.as_deref().unwrap_or_default();
            ServiceKind::ExternalName(name.into())
        }
        other => {
            let message = "is no type of Service; it is treated as ClusterIP";
            report.invalid("spec.type", format_args!("{} {message}", Quoted(other)));
            ServiceKind::ClusterIp
        }
    }
}

fn cluster_ips(spec: &api::ServiceSpec, kind: &ServiceKind, report: &mut Report) -> Vec<IpAddr> {
    if matches!(kind, ServiceKind::ExternalName(_)) {
        return Vec::new();
    }
    let several = spec.cluster_ips.as_deref().unwrap_or_default();
    let (texts, list) = match several {
        [] => (spec.cluster_ip.as_slice(), false),
        several => (several, true),
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let field = if list {
            format!("spec.clusterIPs[{at}]")
        } else {
            "spec.clusterIP".to_owned()
        };
        match text.as_str() {
            "" | "None" => {}
            text => {
                let Some(address) = service_address(text, &field, report) else {
                    continue;
                };
                if addresses
                    .iter()
                    .any(|other| other.is_ipv4() == address.is_ipv4())
                {
                    let message = "is a second address of the same family; it is left out";
                    report.invalid(field, format_args!("{address} {message}"));
                    continue;
                }
                addresses.push(address);
            }
        }
    }
    addresses
}

fn external_ips(spec: &api::ServiceSpec, report: &mut Report) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for (at, text) in spec.external_ips.iter().flatten().enumerate() {
        let field = format!("spec.externalIPs[{at}]");
        push_new(&mut addresses, service_address(text, &field, report));
    }
    addresses
}

/// Those that nodes capture, and those that they leave to the balancer.
fn load_balancer_ips(object: &api::Service, report: &mut Report) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let status = object.status.as_ref();
    let status = status.and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_ref());
    let (mut addresses, mut left) = (Vec::new(), Vec::new());
    for (at, ingress) in ingress.into_iter().flatten().enumerate() {
        // In mode Proxy the load balancer wants to see all traffic, also that from inside.
        let captured = matches!(ingress.ip_mode.as_deref(), None | Some("VIP"));
        let text = ingress.ip.as_deref().filter(|text| !text.is_empty());
        let field = format!("status.loadBalancer.ingress[{at}].ip");
        match (text, captured) {
            (Some(text), true) => {
                push_new(&mut addresses, service_address(text, &field, report));
            }
            (Some(text), false) => left.extend(text.parse::<IpAddr>().ok()),
            (None, _) => {}
        }
    }
    (addresses, left)
}

/// Ranges were asked for and none of them means anything.
struct NoRange;

fn source_ranges(spec: &api::ServiceSpec, report: &mut Report) -> Result<Vec<IpNet>, NoRange> {
    let field = "spec.loadBalancerSourceRanges";
    let mut ranges = Vec::new();
    let mut asked = false;
    for (at, text) in spec
        .load_balancer_source_ranges
        .iter()
        .flatten()
        .enumerate()
    {
        asked = true;
        match range(text) {
            Some(range) => push_new(&mut ranges, Some(range)),
            None => report.invalid(
                format_args!("{field}[{at}]"),
                format_args!(
                    "{} is not a CIDR such as 203.0.113.0/24; it is left out",
                    Quoted(text)
                ),
            ),
        }
    }
    if asked && ranges.is_empty() {
        let message = "has no valid range, so the load balancer's addresses are served to nobody";
        report.invalid(field, message);
        return Err(NoRange);
    }
    Ok(ranges)
}

fn policy(value: Option<&str>, field: &str, report: &mut Report) -> TrafficPolicy {
    match value {
        None | Some("" | "Cluster") => TrafficPolicy::Cluster,
        Some("Local") => TrafficPolicy::Local,
        Some(other) => {
            let message = "is neither Cluster nor Local; it is treated as Cluster";
            report.invalid(field, format_args!("{} {message}", Quoted(other)));
            TrafficPolicy::Cluster
        }
    }
}

fn affinity(spec: &api::ServiceSpec, report: &mut Report) -> Affinity {
    match spec.session_affinity.as_deref() {
        None | Some("" | "None") => return Affinity::None,
        Some("ClientIP") => {}
        Some(other) => {
            let message = "is neither None nor ClientIP; it is treated as None";
            report.invalid(
                "spec.sessionAffinity",
                format_args!("{} {message}", Quoted(other)),
            );
            return Affinity::None;
        }
    }
    let config = spec.session_affinity_config.as_ref();
    let client_ip = config.and_then(|config| config.client_ip.as_ref());
    let timeout_seconds = match client_ip.and_then(|client_ip| client_ip.timeout_seconds) {
        None => AFFINITY_SECONDS,
        Some(seconds @ 1..=86_400) => seconds.unsigned_abs(),
        Some(other) => {
            report.invalid(
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                format_args!("{other} is not between 1 and 86400; {AFFINITY_SECONDS} is used"),
            );
            AFFINITY_SECONDS
        }
    };
    Affinity::ClientIp { timeout_seconds }
}

fn ports(
    spec: &api::ServiceSpec,
    kind: &ServiceKind,
    names: &mut Interner,
    report: &mut Report,
) -> Vec<ServicePort> {
    let mut ports: Vec<ServicePort> = Vec::new();
    for (at, object) in spec.ports.iter().flatten().enumerate() {
        let field = format!("spec.ports[{at}]");
        let Some(number) = port(object.port) else {
            report.invalid(
                format_args!("{field}.port"),
                format_args!(
                    "{} is not a port (1 to 65535); the port is left out",
                    object.port
                ),
            );
            continue;
        };
        let Some(protocol) = protocol(object.protocol.as_deref(), &field, report) else {
            continue;
        };
        let name = names.get(object.name.as_deref().unwrap_or_default());
        let same = ports.iter().position(|other| {
            other.protocol == protocol && (other.port == number || other.name == name)
        });
        if same.is_some() {
            let message = "has the name or the number of an earlier port; it is left out";
            report.invalid(field, message);
            continue;
        }
        let wanted = object.node_port.unwrap_or_default();
        let node_port = match kind {
            ServiceKind::NodePort | ServiceKind::LoadBalancer => {
                node_port(wanted, &format!("{field}.nodePort"), report)
            }
            _ => {
                if wanted != 0 {
                    report.invalid(
                        format_args!("{field}.nodePort"),
                        "needs type NodePort or LoadBalancer; it is left out",
                    );
                }
                None
            }
        };
        ports.push(ServicePort {
            name,
            protocol,
            port: number,
            external_port: external_port(object, kind),
            node_port,
            app_protocol: object.app_protocol.as_deref().map(Into::into),
            endpoints: Arc::default(),
        });
    }
    ports
}

/// The `targetPort` of an alias, which has no slices that would tell it.
fn external_port(object: &api::ServicePort, kind: &ServiceKind) -> Option<fairway_model::Port> {
    match (kind, &object.target_port) {
        (ServiceKind::ExternalName(_), Some(IntOrString::Int(number))) => port(*number),
        _ => None,
    }
}

/// A port that may be 0 for "none".
fn node_port(number: i32, field: &str, report: &mut Report) -> Option<fairway_model::Port> {
    if number != 0 && port(number).is_none() {
        let message = "is not a port (1 to 65535); it is left out";
        report.invalid(field, format_args!("{number} {message}"));
    }
    port(number)
}

fn service_address(text: &str, field: &str, report: &mut Report) -> Option<IpAddr> {
    let Some(address) = address(text) else {
        let message = "is not an IP address; it is left out";
        report.invalid(field, format_args!("{} {message}", Quoted(text)));
        return None;
    };
    if let Some(what) = not_a_service(address) {
        let message = "which no Service can have; it is left out";
        report.invalid(field, format_args!("{address} is {what}, {message}"));
        return None;
    }
    Some(address)
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, value: Option<T>) {
    if let Some(value) = value.filter(|value| !list.contains(value)) {
        list.push(value);
    }
}

#[cfg(test)]
mod tests;
