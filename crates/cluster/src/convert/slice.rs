use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::{Conditions, Endpoint, Hints, ObjectName, Port, Protocol};
use k8s_openapi::api::discovery::v1 as api;

use super::address::{address, not_an_endpoint};
use super::{label, port, protocol};
use crate::index::Interner;
use crate::problem::{Quoted, Report};

/// The only link from a slice to its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Marks the slices of headless Services, whatever its value.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What one EndpointSlice adds to its Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Counts only for a headless Service.
    pub(crate) headless: bool,
    ports: Box<[SlicePort]>,
    endpoints: Box<[SliceEndpoint]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SlicePort {
    name: Arc<str>,
    protocol: Protocol,
    number: Port,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SliceEndpoint {
    address: IpAddr,
    conditions: Conditions,
    node: Option<Arc<str>>,
    zone: Option<Arc<str>>,
    hints: Option<Box<Hints>>,
}

impl Slice {
    /// Its endpoints for the Service port of that name and protocol.
    pub(crate) fn endpoints(
        &self,
        name: &str,
        protocol: Protocol,
    ) -> impl Iterator<Item = Endpoint> {
        let ports = self.ports.iter();
        let ports = ports.filter(move |port| port.protocol == protocol && *port.name == *name);
        ports.flat_map(|port| {
            self.endpoints.iter().map(|endpoint| Endpoint {
                address: endpoint.address,
                port: port.number,
                conditions: endpoint.conditions,
                node: endpoint.node.clone(),
                zone: endpoint.zone.clone(),
                hints: endpoint.hints.clone(),
            })
        })
    }
}

/// With the Service that it belongs to. None for a slice that belongs to no Service or has names
/// instead of addresses.
pub(crate) fn slice(
    object: &api::EndpointSlice,
    name: &ObjectName,
    names: &mut Interner,
    report: &mut Report,
) -> Option<(ObjectName, Slice)> {
    let service = label(&object.metadata, SERVICE_NAME).filter(|name| !name.is_empty())?;
    let ipv4 = match object.address_type.as_str() {
        "IPv4" => true,
        "IPv6" => false,
        "FQDN" => return None,
        other => {
            let message = "is none of IPv4, IPv6 and FQDN; the slice is left out";
            report.invalid("addressType", format_args!("{} {message}", Quoted(other)));
            return None;
        }
    };
    let service = ObjectName {
        namespace: name.namespace.clone(),
        name: names.get(service),
    };
    let slice = Slice {
        headless: label(&object.metadata, HEADLESS).is_some(),
        ports: ports(object, names, report),
        endpoints: endpoints(object, ipv4, names, report),
    };
    Some((service, slice))
}

fn ports(
    object: &api::EndpointSlice,
    names: &mut Interner,
    report: &mut Report,
) -> Box<[SlicePort]> {
    let ports = object.ports.iter().flatten().enumerate();
    ports
        .filter_map(|(at, object)| {
            let field = format!("ports[{at}]");
            // Without a number it means "all ports", without a name "none that a Service has".
            let (Some(name), Some(number)) = (object.name.as_deref(), object.port) else {
                return None;
            };
            let Some(number) = port(number) else {
                let message = "is not a port (1 to 65535); the port is left out";
                report.invalid(
                    format_args!("{field}.port"),
                    format_args!("{number} {message}"),
                );
                return None;
            };
            Some(SlicePort {
                name: names.get(name),
                protocol: protocol(object.protocol.as_deref(), &field, report)?,
                number,
            })
        })
        .collect()
}

fn endpoints(
    object: &api::EndpointSlice,
    ipv4: bool,
    names: &mut Interner,
    report: &mut Report,
) -> Box<[SliceEndpoint]> {
    let endpoints = object.endpoints.iter().enumerate();
    let mut seen = HashSet::new();
    endpoints
        .filter_map(|(at, object)| {
            // The API says that the addresses of one endpoint are interchangeable; consumers use the first.
            let text = object.addresses.first()?;
            let field = format_args!("endpoints[{at}].addresses[0]");
            let Some(address) = address(text) else {
                let message = "is not an IP address; the endpoint is left out";
                report.invalid(field, format_args!("{} {message}", Quoted(text)));
                return None;
            };
            if address.is_ipv4() != ipv4 {
                let family = &object_family(ipv4);
                let message = "the endpoint is left out";
                report.invalid(
                    field,
                    format_args!("{address} is no {family} address; {message}"),
                );
                return None;
            }
            if let Some(what) = not_an_endpoint(address) {
                let message = "which no endpoint can have; it is left out";
                report.invalid(field, format_args!("{address} is {what}, {message}"));
                return None;
            }
            // Two slices may have an endpoint that moves between them; twice in one is a mistake.
            if !seen.insert(address) {
                let message = "is listed before; it is one endpoint";
                report.invalid(field, format_args!("{address} {message}"));
            }
            Some(SliceEndpoint {
                address,
                conditions: conditions(object.conditions.as_ref()),
                node: optional(object.node_name.as_deref(), names),
                zone: optional(object.zone.as_deref(), names),
                hints: hints(object.hints.as_ref(), names),
            })
        })
        .collect()
}

fn object_family(ipv4: bool) -> &'static str {
    if ipv4 { "IPv4" } else { "IPv6" }
}

fn conditions(object: Option<&api::EndpointConditions>) -> Conditions {
    let condition = |get: fn(&api::EndpointConditions) -> Option<bool>| object.and_then(get);
    Conditions {
        ready: condition(|object| object.ready).unwrap_or(true),
        serving: condition(|object| object.serving).unwrap_or(true),
        terminating: condition(|object| object.terminating).unwrap_or(false),
    }
}

fn hints(object: Option<&api::EndpointHints>, names: &mut Interner) -> Option<Box<Hints>> {
    let object = object?;
    let mut hints = Hints::default();
    for zone in object.for_zones.iter().flatten() {
        hints.zones.push(names.get(&zone.name));
    }
    for node in object.for_nodes.iter().flatten() {
        hints.nodes.push(names.get(&node.name));
    }
    let empty = hints.zones.is_empty() && hints.nodes.is_empty();
    (!empty).then(|| Box::new(hints))
}

fn optional(text: Option<&str>, names: &mut Interner) -> Option<Arc<str>> {
    text.filter(|text| !text.is_empty())
        .map(|text| names.get(text))
}

#[cfg(test)]
mod tests;
