//! What the agent was asked to do: typed, defaulted, cross-checked. Only this travels.

mod address;
mod check;
mod network;
mod rules;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use fairway_model::ObjectName;
use fairway_proxy::Hsts;
use ipnet::IpNet;
use serde::{Serialize, Serializer};

pub(crate) use self::rules::Rules;
use crate::args::{AdminArgs, IngressArgs, RenderArgs, RunArgs, SourceArgs};

/// One command, with all that it needs to know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Run(Box<Config>),
    Demo(Demo),
    Render(Render),
    Cleanup,
}

/// The configuration of `run`. Serialized, it is the first line of the log and `/configz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    pub(crate) source: Source,
    /// Lower-case; endpoints that carry it are local.
    pub(crate) node_name: String,
    /// Whether Services are programmed.
    pub(crate) service_proxy: bool,
    pub(crate) rules: Rules,
    /// Whether Ingress traffic is routed.
    pub(crate) ingress: bool,
    pub(crate) router: Router,
    pub(crate) admin: Admin,
    /// How long open requests get to finish after SIGTERM.
    #[serde(rename = "drainSeconds", serialize_with = "seconds")]
    pub(crate) drain: Duration,
}

/// Where objects come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Source {
    /// The service account of the pod we run in.
    InCluster,
    Kubeconfig(PathBuf),
    /// A directory of manifests.
    Manifests(PathBuf),
}

/// The ingress router's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Router {
    /// At least one; no two overlap.
    pub(crate) http_addresses: Vec<SocketAddr>,
    pub(crate) https_addresses: Vec<SocketAddr>,
    /// Namespace and name; a self-signed certificate where there is none.
    pub(crate) default_tls_secret: Option<(String, String)>,
    /// Whether clear-text requests for hosts with TLS are sent to https.
    pub(crate) redirect_to_https: bool,
    /// What browsers are told by HSTS; 0 for nothing.
    #[serde(rename = "hstsMaxAgeSeconds", serialize_with = "seconds")]
    pub(crate) hsts_max_age: Duration,
    pub(crate) ingress_class: String,
    /// At least one.
    pub(crate) controllers: Vec<String>,
    pub(crate) watch_ingress_without_class: bool,
    /// Without host bits.
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) workers: NonZeroUsize,
}

/// The agent's own servers; `None` where one is not wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Admin {
    pub(crate) healthz_bind_address: Option<SocketAddr>,
    pub(crate) metrics_bind_address: Option<SocketAddr>,
    /// Whether an address that is taken ends the agent.
    pub(crate) bind_address_hard_fail: bool,
}

/// The configuration of `demo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demo {
    /// Leave the cluster up.
    pub(crate) keep: bool,
}

/// The configuration of `render`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Render {
    pub(crate) manifests: PathBuf,
    pub(crate) node_name: String,
    pub(crate) rules: Rules,
}

/// What defaults are taken from.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// `$NODE_NAME`, which a DaemonSet sets from `spec.nodeName`.
    pub(crate) node_name: Option<String>,
    pub(crate) host_name: String,
    pub(crate) processors: NonZeroUsize,
}

/// Arguments that cannot be meant so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{flag} '{value}': {problem}")]
    Value {
        flag: &'static str,
        value: String,
        problem: String,
    },
    #[error("--cluster-cidr takes one network per address family: {first} and {second} are of one")]
    SameFamily { first: IpNet, second: IpNet },
    #[error("{flag} {address} overlaps with {other_flag} {other}: choose another port for one")]
    SamePort {
        flag: &'static str,
        address: SocketAddr,
        other_flag: &'static str,
        other: SocketAddr,
    },
    #[error("--service-proxy=false and --ingress=false leave nothing to do")]
    NothingToDo,
}

impl Config {
    pub(crate) fn new(args: RunArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let name = args.node.hostname_override;
        let config = Self {
            source: args.source.into(),
            node_name: environment.node_name("--hostname-override", name)?,
            service_proxy: args.service_proxy.service_proxy,
            rules: args.service_proxy.rules.try_into()?,
            ingress: args.ingress.ingress,
            drain: Duration::from_secs(args.ingress.drain_seconds.into()),
            router: Router::new(args.ingress, environment)?,
            admin: args.admin.try_into()?,
        };
        config.check()?;
        Ok(config)
    }

    /// What works, but perhaps not as was meant: one sentence each, for the log.
    pub(crate) fn warnings(&self) -> Vec<&'static str> {
        match self.service_proxy {
            true => self.rules.warnings(),
            false => Vec::new(),
        }
    }
}

impl Render {
    pub(crate) fn new(args: RenderArgs, environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            manifests: args.manifests,
            node_name: environment.node_name("--node-name", args.node_name)?,
            rules: args.rules.try_into()?,
        })
    }
}

impl Router {
    fn new(args: IngressArgs, environment: &Environment) -> Result<Self, ConfigError> {
        let addresses = args.ingress_http_address.iter();
        let https = args.ingress_https_address.iter();
        let https = https.filter(|text| !text.trim().is_empty());
        let trusted = args.trusted_proxies.iter();
        Ok(Self {
            http_addresses: addresses
                .map(|text| address::listen(HTTP_ADDRESS, text))
                .collect::<Result<_, _>>()?,
            https_addresses: https
                .map(|text| address::listen(HTTPS_ADDRESS, text))
                .collect::<Result<_, _>>()?,
            default_tls_secret: args
                .default_tls_secret
                .map(check::default_tls_secret)
                .transpose()?,
            redirect_to_https: args.redirect_to_https,
            hsts_max_age: Duration::from_secs(args.hsts_max_age.into()),
            ingress_class: check::ingress_class(args.ingress_class)?,
            controllers: args
                .controller
                .into_iter()
                .map(check::controller)
                .collect::<Result<_, _>>()?,
            watch_ingress_without_class: args.watch_ingress_without_class,
            trusted_proxies: trusted
                .map(|text| network::trusted(text))
                .collect::<Result<_, _>>()?,
            workers: args
                .workers
                .and_then(|workers| NonZeroUsize::new(workers.into()))
                .unwrap_or(environment.processors),
        })
    }
}

impl Router {
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

impl From<SourceArgs> for Source {
    fn from(args: SourceArgs) -> Self {
        match (args.manifests, args.kubeconfig) {
            (Some(directory), _) => Self::Manifests(directory),
            (None, Some(file)) => Self::Kubeconfig(file),
            (None, None) => Self::InCluster,
        }
    }
}

impl TryFrom<AdminArgs> for Admin {
    type Error = ConfigError;

    fn try_from(args: AdminArgs) -> Result<Self, ConfigError> {
        Ok(Self {
            healthz_bind_address: address::admin(HEALTHZ, &args.healthz_bind_address, 10256)?,
            metrics_bind_address: address::admin(METRICS, &args.metrics_bind_address, 10249)?,
            bind_address_hard_fail: args.bind_address_hard_fail,
        })
    }
}

impl Environment {
    pub(crate) fn of_this_process() -> Self {
        let host_name = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Self {
            node_name: std::env::var("NODE_NAME").ok(),
            host_name,
            processors: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }

    /// The node's name as Kubernetes spells it: trimmed and lower-case.
    fn node_name(&self, flag: &'static str, given: Option<String>) -> Result<String, ConfigError> {
        let candidates = [
            given.as_ref(),
            self.node_name.as_ref(),
            Some(&self.host_name),
        ];
        let names = candidates.into_iter().flatten().map(|name| name.trim());
        match names.into_iter().find(|name| !name.is_empty()) {
            Some(name) => Ok(name.to_lowercase()),
            None => Err(ConfigError::value(
                flag,
                "",
                "this host has no name: give the node's",
            )),
        }
    }
}

impl ConfigError {
    fn value(flag: &'static str, value: &str, problem: impl Into<String>) -> Self {
        Self::Value {
            flag,
            value: value.to_owned(),
            problem: problem.into(),
        }
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

const HTTP_ADDRESS: &str = "--ingress-http-address";
const HTTPS_ADDRESS: &str = "--ingress-https-address";
const HEALTHZ: &str = "--healthz-bind-address";
const METRICS: &str = "--metrics-bind-address";
