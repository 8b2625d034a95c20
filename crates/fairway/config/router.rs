//! The ingress router's side.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use fairway_cluster::Publish;
use fairway_model::{Backend, ObjectName};
use fairway_proxy::{Hsts, Limits, MemoryWatermark, Timeouts};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    ConfigError, Environment, address, check, default_backend, network, publish, seconds, setting,
};
use crate::args::{IngressArgs, ProxyProtocol, StatusArgs};

/// What is accepted, from whom, and for which Ingresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Router {
    /// At least one; no two overlap.
    pub(crate) http_addresses: Vec<SocketAddr>,
    pub(crate) https_addresses: Vec<SocketAddr>,
    /// Namespace and name; a self-signed certificate where there is none.
    pub(crate) default_tls_secret: Option<(String, String)>,
    /// Answers what no Ingress does.
    #[serde(serialize_with = "default_backend::serialize")]
    pub(crate) default_backend: Option<Backend>,
    /// Whether Services of type ExternalName are forwarded to.
    pub(crate) external_hosts: bool,
    /// Whether clear-text requests for hosts with TLS are sent to https.
    pub(crate) redirect_to_https: bool,
    /// What browsers are told by HSTS; 0 for nothing.
    #[serde(rename = "hstsMaxAgeSeconds", serialize_with = "seconds")]
    pub(crate) hsts_max_age: Duration,
    pub(crate) h2c: bool,
    pub(crate) ingress_class: String,
    /// At least one.
    pub(crate) controllers: Vec<String>,
    pub(crate) watch_ingress_without_class: bool,
    /// Without host bits.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// With `required`, there are trusted proxies.
    pub(crate) proxy_protocol: ProxyProtocol,
    /// Of clients, in all; at least 1.
    pub(crate) max_connections: Option<u32>,
    /// Of one client; at least 1.
    pub(crate) max_connections_per_client: Option<u32>,
    /// Bytes a second; 0 for none.
    pub(crate) min_body_rate: u32,
    /// Bytes a second; 0 for none.
    pub(crate) min_response_rate: u32,
    /// Of the container's memory, in percent; 0 for none.
    pub(crate) memory_watermark: u8,
    pub(crate) workers: NonZeroUsize,
    /// What Ingresses say of where they are reached; `None` leaves them alone.
    #[serde(serialize_with = "publish::serialize")]
    pub(crate) publish: Option<Publish>,
}

impl Router {
    pub(super) fn new(
        args: &IngressArgs,
        status: &StatusArgs,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let addresses = args.ingress_http_address.iter();
        let https = args.ingress_https_address.iter();
        let https = https.filter(|text| !text.trim().is_empty());
        let trusted = args.trusted_proxies.iter();
        Ok(Self {
            http_addresses: addresses
                .map(|text| address::listen(&setting::HTTP_ADDRESS, text))
                .collect::<Result<_, _>>()?,
            https_addresses: https
                .map(|text| address::listen(&setting::HTTPS_ADDRESS, text))
                .collect::<Result<_, _>>()?,
            default_tls_secret: args
                .default_tls_secret
                .as_deref()
                .map(check::default_tls_secret)
                .transpose()?,
            default_backend: args
                .default_backend_service
                .as_deref()
                .map(default_backend::parse)
                .transpose()?,
            external_hosts: args.external_names,
            redirect_to_https: args.redirect_to_https,
            hsts_max_age: Duration::from_secs(args.hsts_max_age.into()),
            h2c: args.ingress_h2c,
            ingress_class: check::ingress_class(&args.ingress_class)?,
            controllers: args
                .controller
                .iter()
                .map(|name| check::controller(name))
                .collect::<Result<_, _>>()?,
            watch_ingress_without_class: args.watch_ingress_without_class,
            trusted_proxies: trusted
                .map(|text| network::trusted(text))
                .collect::<Result<_, _>>()?,
            proxy_protocol: proxy_protocol(args)?,
            max_connections: args.max_connections,
            max_connections_per_client: args.max_connections_per_client,
            min_body_rate: args.min_body_rate,
            min_response_rate: args.min_response_rate,
            memory_watermark: args.memory_watermark,
            workers: args
                .workers
                .and_then(|workers| NonZeroUsize::new(workers.into()))
                .unwrap_or(environment.processors),
            publish: publish::parse(status)?,
        })
    }

    /// All addresses for traffic.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let all = self.http_addresses.iter().chain(&self.https_addresses);
        all.copied()
    }

    /// What clients may occupy.
    pub(crate) fn limits(&self) -> Limits {
        let default = Limits::default();
        let each = |all: u32| all.div_ceil(u32::try_from(self.workers.get()).unwrap_or(u32::MAX));
        Limits {
            connections_per_worker: self
                .max_connections
                .map_or(default.connections_per_worker, |all| each(all) as usize),
            connections_per_client: self.max_connections_per_client,
            ..default
        }
    }

    /// How much memory may be in use.
    pub(crate) fn memory(&self) -> Option<MemoryWatermark> {
        let percent = (self.memory_watermark > 0).then_some(self.memory_watermark);
        percent.and_then(MemoryWatermark::of_limit)
    }

    /// For how long clients may be silent.
    pub(crate) fn timeouts(&self) -> Timeouts {
        Timeouts {
            body_rate: self.min_body_rate,
            write_rate: self.min_response_rate,
            ..Timeouts::default()
        }
    }

    /// What works, but cannot be meant so.
    pub(super) fn warnings(&self) -> Option<String> {
        let idle =
            self.proxy_protocol == ProxyProtocol::Optional && self.trusted_proxies.is_empty();
        idle.then(|| {
            "--proxy-protocol=optional has no effect without --trusted-proxies: nobody may send a header"
                .to_owned()
        })
    }

    /// Whether there is anywhere to send clear-text requests to.
    pub(crate) fn redirects(&self) -> bool {
        self.redirect_to_https && !self.https_addresses.is_empty()
    }

    pub(crate) fn hsts(&self) -> Option<Hsts> {
        (!self.hsts_max_age.is_zero()).then(|| Hsts {
            max_age: self.hsts_max_age,
            ..Hsts::default()
        })
    }

    pub(crate) fn default_certificate(&self) -> Option<ObjectName> {
        let (namespace, name) = self.default_tls_secret.as_ref()?;
        Some(ObjectName::new(namespace.as_str(), name.as_str()))
    }
}

/// A header that is required must be allowed to come from somewhere.
fn proxy_protocol(args: &IngressArgs) -> Result<ProxyProtocol, ConfigError> {
    if args.proxy_protocol == ProxyProtocol::Required && args.trusted_proxies.is_empty() {
        let problem = "nobody is trusted to send it: name the load balancer in --trusted-proxies";
        return Err(ConfigError::value(
            &setting::PROXY_PROTOCOL,
            "required",
            problem,
        ));
    }
    Ok(args.proxy_protocol)
}
