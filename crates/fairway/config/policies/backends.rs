//! `backends`: who shares the requests of a route.

use std::sync::Arc;

use fairway_model::{BackendPort, BackendShare, Port};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::{Wrong, text};

/// So large that percentages fit with digits after the point, and that sums do not overflow.
const LARGEST_WEIGHT: u32 = 1_000_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BackendDocument {
    #[serde(default, deserialize_with = "text::name")]
    service: Option<Arc<str>>,
    #[serde(default, deserialize_with = "port")]
    port: Option<BackendPort>,
    weight: Option<u32>,
}

pub(super) fn shares(documents: Vec<BackendDocument>) -> Result<Vec<BackendShare>, Wrong> {
    let wrong = |field: String, problem: &str| Err((field, problem.to_owned()));
    if documents.is_empty() {
        return wrong(
            "backends".to_owned(),
            "names nobody: leave it out for the route's own",
        );
    }
    let shares: Vec<_> = documents
        .into_iter()
        .map(|document| BackendShare {
            service: document.service,
            port: document.port,
            weight: document.weight.unwrap_or(1),
        })
        .collect();
    let heavy = |share: &BackendShare| share.weight > LARGEST_WEIGHT;
    if let Some(at) = shares.iter().position(heavy) {
        return wrong(
            format!("backends[{at}].weight"),
            "must not be above 1000000",
        );
    }
    Ok(shares)
}

/// A number, or a name.
fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BackendPort>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected the number or the name of a port")]
    enum Given {
        Number(u16),
        Name(String),
    }
    match Option::<Given>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Given::Number(number)) => match Port::new(number) {
            Some(port) => Ok(Some(BackendPort::Number(port))),
            None => Err(D::Error::custom("there is no port 0")),
        },
        Some(Given::Name(name)) => Ok(Some(BackendPort::Name(name.into()))),
    }
}
