//! What an API server would let an agent have and do.

use std::path::Path;
use std::time::Duration;

use fairway_cluster::{
    Kind, Lack, LackingKind, Right, about_server, client, denied_verbs, lacking_kinds,
};
use fairway_doctor::{Absent, Api, Forbidden};

use crate::agent::cluster_options;
use crate::causes::with_causes;
use crate::config::Config;

/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What it says of itself and of us, or why it does not.
pub(super) fn ask(
    kubeconfig: Option<&Path>,
    config: &Config,
) -> anyhow::Result<Result<Api, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build()?;
    let answer = async { tokio::time::timeout(PATIENCE, answer(kubeconfig, config)).await };
    Ok(runtime.block_on(answer).unwrap_or_else(|_| {
        Err(format!(
            "the API server does not answer within {} s",
            PATIENCE.as_secs()
        ))
    }))
}

async fn answer(kubeconfig: Option<&Path>, config: &Config) -> Result<Api, String> {
    let client = client(kubeconfig).await;
    let client = client.map_err(|error| with_causes(&error))?;
    let about = about_server(&client).await;
    let about = about.map_err(|error| with_causes(&error))?;
    let mut api = Api {
        version: about.version,
        ahead: about.ahead_seconds,
        ..Api::default()
    };
    for kind in lacking_kinds(&client, &cluster_options(config)).await {
        match kind.lack {
            Lack::Forbidden => api.forbidden.push(forbidden_kind(kind)),
            Lack::Absent => api.absent.push(absent_kind(&kind)),
            Lack::NoSuchNode => api.unknown_node = Some(config.node_name.clone()),
        }
    }
    for right in wanted_rights(config) {
        let denied = denied_verbs(&client, right).await.unwrap_or_default();
        if !denied.is_empty() {
            api.forbidden.push(forbidden_right(right, denied));
        }
    }
    Ok(api)
}

/// What an agent with this configuration writes.
fn wanted_rights(config: &Config) -> impl Iterator<Item = Right> {
    let lease = config.ingress.then_some(Right::Lease);
    let publishes = config.ingress && config.router.publish.is_some();
    let status = publishes.then_some(Right::IngressStatus);
    [Some(Right::Events), lease, status].into_iter().flatten()
}

fn forbidden_right(right: Right, denied: Vec<&'static str>) -> Forbidden {
    Forbidden {
        group: right.group().to_owned(),
        resource: right.resource().to_owned(),
        denied,
        verbs: right.verbs(),
        without: right.without(),
        optional: true,
    }
}

fn forbidden_kind(kind: LackingKind) -> Forbidden {
    Forbidden {
        group: kind.group,
        resource: kind.plural,
        denied: vec!["list"],
        verbs: &["list", "watch"],
        without: without(kind.kind),
        optional: is_optional(kind.kind),
    }
}

fn absent_kind(kind: &LackingKind) -> Absent {
    Absent {
        kind: format!("{}.{}", kind.plural, kind.group),
        without: without(kind.kind),
        optional: is_optional(kind.kind),
    }
}

fn is_optional(kind: Kind) -> bool {
    kind == Kind::ServiceCidr
}

/// What does not work without a kind.
fn without(kind: Kind) -> &'static str {
    match kind {
        Kind::Service | Kind::EndpointSlice => {
            "fairway waits, and what a former run programmed stays"
        }
        Kind::Node => "/healthz says 503, and node ports have no addresses",
        Kind::Ingress | Kind::IngressClass => "the router does not start; Services work",
        Kind::ServiceCidr => "addresses of no Service are not refused; all else works",
        Kind::Secret => "there are no certificates",
    }
}
