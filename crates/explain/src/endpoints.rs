//! Why each endpoint is used or not. Whether it is used is not decided here.

use fairway_model as model;
use fairway_model::Weights;

use crate::{Endpoint, Standing};

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
