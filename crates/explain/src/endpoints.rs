//! Why each endpoint is used or not. Whether it is used is not decided here.

use std::collections::BTreeMap;

use fairway_model as model;
use fairway_model::{Node, Service, ServicePort, TrafficPolicy, Weights};
use fairway_plan::{Family, shares_of_endpoints};

use crate::{Endpoint, Standing};

/// The endpoints of a Service's port, and which of them clients of its ClusterIP get on this node.
pub fn endpoints_of_port(service: &Service, port: &ServicePort, node: &Node) -> Vec<Endpoint> {
    let policy = service.internal_policy;
    let addresses = service.cluster_ips.iter();
    let families: Vec<_> = addresses.map(|address| Family::of(*address)).collect();
    let mut used = BTreeMap::new();
    let mut totals = BTreeMap::new();
    for family in Family::ALL {
        let shares = shares_of_endpoints(service, port, policy, family, node);
        totals.insert(family, shares.len());
        for address in shares {
            *used.entry(address).or_insert(0) += 1;
        }
    }
    let all = port.endpoints.iter().map(|endpoint| {
        let family = Family::of(endpoint.address);
        // A Service without an address is asked for all of them.
        let other_family = !families.is_empty() && !families.contains(&family);
        let share = used.get(&endpoint.socket_address());
        let share = share.filter(|_| !other_family);
        let how = Use {
            used: share.is_some(),
            share: share.map(|share| percent(*share, totals[&family])),
            in_reserve: false,
            other_family,
            other_node: policy == TrafficPolicy::Local && !endpoint.is_on(&node.name),
        };
        describe(endpoint, &service.weights, how)
    });
    all.collect()
}

/// What is known about an endpoint beside itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Use {
    pub(crate) used: bool,
    /// In percent.
    pub(crate) share: Option<f64>,
    /// Used only when the others do not answer.
    pub(crate) in_reserve: bool,
    /// Addresses of its family are not used at all.
    pub(crate) other_family: bool,
    /// Only endpoints of this node are used, and it is none.
    pub(crate) other_node: bool,
}

/// Describes an endpoint of a Service with these weights.
pub(crate) fn describe(endpoint: &model::Endpoint, weights: &Weights, how: Use) -> Endpoint {
    let standing = standing(endpoint, weights, how);
    Endpoint {
        address: endpoint.socket_address().to_string(),
        node: endpoint.node.as_deref().map(str::to_owned),
        zone: endpoint.zone.as_deref().map(str::to_owned),
        used: how.used,
        share: how.share,
        standing,
        why: why(endpoint, standing),
    }
}

fn standing(endpoint: &model::Endpoint, weights: &Weights, how: Use) -> Standing {
    let conditions = endpoint.conditions;
    match how {
        Use {
            used: true,
            in_reserve: true,
            ..
        } => Standing::InReserve,
        Use { used: true, .. } if conditions.ready => Standing::Ready,
        Use { used: true, .. } => Standing::Draining,
        Use {
            other_family: true, ..
        } => Standing::OtherFamily,
        _ if !conditions.ready && conditions.terminating => Standing::Terminating,
        _ if !conditions.ready => Standing::NotReady,
        Use {
            other_node: true, ..
        } => Standing::OtherNode,
        _ if weights.of(endpoint) == 0 => Standing::NoWeight,
        _ => Standing::HintedElsewhere,
    }
}

fn why(endpoint: &model::Endpoint, standing: Standing) -> String {
    let serving = endpoint.conditions.serving;
    match standing {
        Standing::Ready => "ready".to_owned(),
        Standing::Draining => "terminates but still serves: used because none is ready".to_owned(),
        Standing::InReserve => {
            "ready; asked when those that topology hints prefer do not answer".to_owned()
        }
        Standing::OtherFamily => "its address is of the other family".to_owned(),
        Standing::NotReady => "not ready: look at the pod's readiness probe".to_owned(),
        Standing::Terminating if serving => {
            "terminates; it is used only while none is ready".to_owned()
        }
        Standing::Terminating => "terminates, and serves no more".to_owned(),
        Standing::OtherNode => "ready, but not on this node (policy Local)".to_owned(),
        Standing::HintedElsewhere => {
            let hints = endpoint.hints.as_deref();
            let kinds = hints.map(|hints| [("nodes", &hints.nodes), ("zones", &hints.zones)]);
            let kinds = kinds
                .into_iter()
                .flatten()
                .filter(|(_, names)| !names.is_empty());
            let kinds: Vec<_> = kinds
                .map(|(kind, names)| format!("{kind} {}", names.join(", ")))
                .collect();
            format!("ready; topology hints mean it for {}", kinds.join(" and "))
        }
        Standing::NoWeight => "ready; its weight is 0 (fairway.dev/endpoint-weights)".to_owned(),
    }
}

/// A part of a whole in percent, to one digit.
pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    let permille = (part * 1000 + whole / 2)
        .checked_div(whole)
        .unwrap_or_default();
    f64::from(u32::try_from(permille).unwrap_or(u32::MAX)) / 10.0
}

#[cfg(test)]
mod tests {
    use fairway_model::{Hints, ObjectName, Port};

    use super::*;

    fn port(number: u16) -> Port {
        number.try_into().unwrap()
    }

    fn endpoint(address: &str, change: impl FnOnce(&mut model::Endpoint)) -> model::Endpoint {
        let mut endpoint = model::Endpoint::ready(address.parse().unwrap(), port(8080));
        change(&mut endpoint);
        endpoint
    }

    fn told(service: &Service) -> Vec<(bool, Option<f64>, String)> {
        let node = Node {
            name: "node-1".into(),
            zone: Some("a".into()),
            ..Node::default()
        };
        let told = endpoints_of_port(service, &service.ports[0], &node);
        told.into_iter()
            .map(|it| (it.used, it.share, it.why))
            .collect()
    }

    fn service(endpoints: Vec<model::Endpoint>) -> Service {
        let mut service = Service::new(ObjectName::new("shop", "web"));
        service.cluster_ips = vec!["10.96.0.1".parse().unwrap()];
        let mut served = ServicePort::new(model::Protocol::Tcp, port(80));
        served.endpoints = endpoints.into();
        service.ports = vec![served];
        service
    }

    #[test]
    fn each_endpoint_is_told_why_it_is_in_or_out() {
        let hinted = |zone: &'static str| {
            move |it: &mut model::Endpoint| {
                it.hints = Some(Box::new(Hints {
                    zones: [zone.into()].into(),
                    ..Hints::default()
                }));
            }
        };
        let web = service(vec![
            endpoint("10.0.0.1", hinted("a")),
            endpoint("10.0.0.2", hinted("b")),
            endpoint("10.0.0.3", |it| it.conditions.ready = false),
            endpoint("fd00::1", hinted("a")),
        ]);
        let expected = [
            (true, Some(100.0), "ready"),
            (false, None, "ready; topology hints mean it for zones b"),
            (false, None, "not ready: look at the pod's readiness probe"),
            (false, None, "its address is of the other family"),
        ];
        let expected = expected.map(|(used, share, why)| (used, share, why.to_owned()));
        assert_eq!(told(&web), expected);
    }

    #[test]
    fn a_local_policy_and_pods_that_end_are_told() {
        let mut web = service(vec![
            endpoint("10.0.0.1", |it| {
                it.node = Some("node-1".into());
                it.conditions.ready = false;
                it.conditions.terminating = true;
                it.conditions.serving = true;
            }),
            endpoint("10.0.0.2", |it| it.node = Some("node-2".into())),
        ]);
        web.internal_policy = TrafficPolicy::Local;
        let draining = "terminates but still serves: used because none is ready";
        let elsewhere = "ready, but not on this node (policy Local)";
        let expected = [(true, Some(100.0), draining), (false, None, elsewhere)];
        let expected = expected.map(|(used, share, why)| (used, share, why.to_owned()));
        assert_eq!(told(&web), expected);
    }
}
