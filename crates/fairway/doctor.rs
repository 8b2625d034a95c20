//! `fairway doctor`: what stands in the way on this node.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use fairway_cluster::{ForbiddenKind, Kind, Right, denied_verbs, forbidden_kinds};
use fairway_doctor::{Api, Finding, Forbidden, Level, Wanted, check, gather, render};

use crate::agent::{AgentLock, cluster_options};
use crate::causes::with_causes;
use crate::config::{Config, Doctor, Output, Source};
use crate::output;

/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints every finding; a fault is a failure.
pub(crate) fn run(command: &Doctor) -> anyhow::Result<ExitCode> {
    let config = &command.config;
    let api = match &config.source {
        Source::Kubeconfig(file) => Some(ask_api(Some(file), config)?),
        Source::InCluster if command.in_cluster => Some(ask_api(None, config)?),
        Source::InCluster | Source::Manifests(_) => None,
    };
    let agent = AgentLock::try_take()?.is_none();
    let facts = gather(wanted(config), agent, api);
    let findings = check(&facts);
    output::print(&match command.output {
        Output::Text => render(&findings),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&findings)?),
    })?;
    let is_fault = |finding: &Finding| finding.level == Level::Fault;
    Ok(match findings.iter().any(is_fault) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn wanted(config: &Config) -> Wanted {
    let mut ports = Vec::new();
    if config.ingress {
        let router = &config.router;
        let http = router.http_addresses.iter().map(|it| ("HTTP", it));
        let https = router.https_addresses.iter().map(|it| ("HTTPS", it));
        ports.extend(
            http.chain(https)
                .map(|(what, it)| (what.to_owned(), it.port())),
        );
    }
    let healthz = config.admin.healthz_bind_address;
    let metrics = config.admin.metrics_bind_address;
    ports.extend(healthz.map(|it| ("/healthz".to_owned(), it.port())));
    ports.extend(metrics.map(|it| ("/metrics".to_owned(), it.port())));
    Wanted {
        service_proxy: config.service_proxy,
        flow_table: !config.rules.flow_table_interfaces.is_empty(),
        ports,
    }
}

/// What it says of itself, or why it does not.
fn ask_api(kubeconfig: Option<&Path>, config: &Config) -> anyhow::Result<Result<Api, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build()?;
    let ask = async {
        let client = fairway_cluster::client(kubeconfig).await;
        let client = client.map_err(|error| with_causes(&error))?;
        let about = fairway_cluster::about_server(&client).await;
        let about = about.map_err(|error| with_causes(&error))?;
        let kinds = forbidden_kinds(&client, &cluster_options(config)).await;
        let mut forbidden: Vec<_> = kinds.into_iter().map(of_kind).collect();
        for right in wanted_rights(config) {
            let denied = denied_verbs(&client, right).await.unwrap_or_default();
            if !denied.is_empty() {
                forbidden.push(of_right(right, denied));
            }
        }
        Ok((about, forbidden))
    };
    let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, ask).await });
    let about = asked.unwrap_or_else(|_| {
        Err(format!(
            "the API server does not answer within {} s",
            PATIENCE.as_secs()
        ))
    });
    Ok(about.map(|(about, forbidden)| Api {
        version: about.version,
        ahead: about.ahead_seconds,
        forbidden,
    }))
}

/// What an agent with this configuration writes.
fn wanted_rights(config: &Config) -> impl Iterator<Item = Right> {
    let lease = config.ingress.then_some(Right::Lease);
    let publishes = config.ingress && config.router.publish.is_some();
    let status = publishes.then_some(Right::IngressStatus);
    [Some(Right::Events), lease, status].into_iter().flatten()
}

fn of_right(right: Right, denied: Vec<&'static str>) -> Forbidden {
    Forbidden {
        group: right.group().to_owned(),
        resource: right.resource().to_owned(),
        denied,
        verbs: right.verbs(),
        without: right.without(),
        optional: true,
    }
}

fn of_kind(forbidden: ForbiddenKind) -> Forbidden {
    let without = match forbidden.kind {
        Kind::Service | Kind::EndpointSlice => {
            "fairway waits, and what a former run programmed stays"
        }
        Kind::Node => "/healthz says 503, and node ports have no addresses",
        Kind::Ingress | Kind::IngressClass => "the router does not start; Services work",
        Kind::ServiceCidr => "addresses of no Service are not refused; all else works",
        Kind::Secret => "there are no certificates",
    };
    Forbidden {
        group: forbidden.group,
        resource: forbidden.plural,
        denied: vec!["list"],
        verbs: &["list", "watch"],
        without,
        optional: forbidden.kind == Kind::ServiceCidr,
    }
}
