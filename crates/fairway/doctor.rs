//! `fairway doctor`: what stands in the way on this node.

mod api;

use std::process::ExitCode;

use fairway_doctor::{Finding, Level, Wanted, check, gather, render};

use crate::agent::AgentLock;
use crate::config::{Config, Doctor, Output, Source};
use crate::output;

/// Prints every finding; a fault is a failure.
pub(crate) fn run(command: &Doctor) -> anyhow::Result<ExitCode> {
    let config = &command.config;
    let api = match &config.source {
        Source::Kubeconfig(file) => Some(api::ask(Some(file), config)?),
        Source::InCluster if command.in_cluster => Some(api::ask(None, config)?),
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
