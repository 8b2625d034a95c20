//! What dashboards made for ingress-nginx ask of the controller: the same facts by its names.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use fairway_admin::ProcessMetrics;
use fairway_cluster::{Problem, Reason};
use fairway_model::{ObjectName, Update};
use fairway_proxy::ControllerLabels;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::certificate_metrics::CertificateMetrics;
use crate::config::Config;

/// Told of each change of routes; tells it when asked.
#[derive(Clone, Debug)]
pub(super) struct IngressNginxMetrics {
    controller: ControllerLabels,
    certificates: CertificateMetrics,
    process: ProcessMetrics,
    /// Of the configuration that is in force.
    hash: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Changes of routes that were put in force: what a reload is to nginx.
    reloads: u64,
    last: Option<SystemTime>,
    orphans: BTreeSet<(ObjectName, &'static str)>,
}

impl IngressNginxMetrics {
    /// None where nobody wants them.
    pub(super) fn register(
        config: &Config,
        certificates: &CertificateMetrics,
        registry: &mut Registry,
    ) -> Option<Self> {
        let controller = config.observation.ingress_nginx.clone()?;
        let mut hasher = DefaultHasher::new();
        config.configz().to_string().hash(&mut hasher);
        let metrics = Self {
            controller,
            certificates: certificates.clone(),
            process: ProcessMetrics::new(),
            hash: hasher.finish(),
            state: Arc::default(),
        };
        registry.register_collector(Box::new(metrics.clone()));
        Some(metrics)
    }

    /// An update is in force, with these problems left.
    pub(super) fn applied<'a>(&self, update: &Update, problems: impl Iterator<Item = &'a Problem>) {
        let orphans = problems.filter_map(|problem| {
            let kind = match problem.reason {
                Reason::BackendNotFound => "no-service",
                Reason::NoEndpoints => "no-endpoint",
                _ => return None,
            };
            let is_ingress = problem.object.kind == "Ingress";
            is_ingress.then(|| (problem.object.name.clone(), kind))
        });
        let mut state = self.state();
        state.orphans = orphans.collect();
        // Endpoints are no reload to nginx, either.
        if !update.changes.hosts.is_empty() {
            state.reloads += 1;
        }
        state.last = Some(SystemTime::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn encode_controller(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let state = self.state();
        let last = state
            .last
            .and_then(|it| it.duration_since(SystemTime::UNIX_EPOCH).ok());
        let last = last.map_or(0.0, |it| it.as_secs_f64().floor());
        for (name, help, value) in [
            (
                "config_hash",
                "Hash of fairway's configuration; Ingresses are no part of it",
                // As many digits as a number of JavaScript has.
                (self.hash >> 11) as f64,
            ),
            (
                "config_last_reload_successful",
                "Whether the last change of routes is in force",
                f64::from(u8::from(state.last.is_some())),
            ),
            (
                "config_last_reload_successful_timestamp_seconds",
                "When the last change of routes came into force",
                last,
            ),
        ] {
            let name = format!("nginx_ingress_controller_{name}");
            encoder
                .encode_descriptor(&name, help, None, MetricType::Gauge)?
                .encode_family(&self.controller.pairs())?
                .encode_gauge(&value)?;
        }
        encoder
            .encode_descriptor(
                "nginx_ingress_controller_success",
                "Changes of routes that came into force",
                None,
                MetricType::Unknown,
            )?
            .encode_family(&self.controller.pairs())?
            .encode_gauge(&state.reloads)?;
        let mut orphan = encoder.encode_descriptor(
            "nginx_ingress_controller_orphan_ingress",
            "Ingresses with a backend that nobody answers for",
            None,
            MetricType::Gauge,
        )?;
        for (name, kind) in &state.orphans {
            let of_ingress = [
                ("namespace", &*name.namespace),
                ("ingress", &*name.name),
                ("type", *kind),
            ];
            orphan
                .encode_family(&(of_ingress, self.controller.pairs()))?
                .encode_gauge(&1_u64)?;
        }
        Ok(())
    }

    fn encode_certificates(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let shown = self.certificates.shown();
        let mut expiry = encoder.encode_descriptor(
            "nginx_ingress_controller_ssl_expire_time_seconds",
            "Until when the certificate of a host is valid",
            None,
            MetricType::Gauge,
        )?;
        for (host, shows) in &shown.hosts {
            let host = host.to_string();
            expiry
                .encode_family(&[
                    ("class", self.controller.class.as_str()),
                    ("host", &host),
                    ("namespace", &*shows.secret.namespace),
                    ("secret_name", &*shows.secret.name),
                ])?
                .encode_gauge(&shows.not_after)?;
        }
        Ok(())
    }

    fn encode_process(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(usage) = self.process.usage() else {
            return Ok(());
        };
        encoder
            .encode_descriptor(
                "nginx_ingress_controller_nginx_process_cpu_seconds",
                "Processor time used, the service proxy's included",
                None,
                MetricType::Counter,
            )?
            .encode_family(&self.controller.pairs())?
            .encode_counter::<NoLabelSet, _, f64>(&usage.cpu_seconds, None)?;
        encoder
            .encode_descriptor(
                "nginx_ingress_controller_nginx_process_resident_memory_bytes",
                "Memory in use, the service proxy's included",
                None,
                MetricType::Gauge,
            )?
            .encode_family(&self.controller.pairs())?
            .encode_gauge(&usage.resident_bytes)
    }
}

impl Collector for IngressNginxMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_controller(&mut encoder)?;
        self.encode_certificates(&mut encoder)?;
        self.encode_process(&mut encoder)
    }
}
