//! What the agent was asked to do: typed, defaulted, cross-checked. Only this travels.

mod address;
mod check;
mod conntrack;
mod default_backend;
mod document;
mod fairway;
mod file;
mod go_duration;
mod kube_proxy;
mod load;
mod network;
mod observation;
mod policies;
mod publish;
mod router;
mod rules;
mod setting;
#[cfg(test)]
mod tests;
mod unused;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use fairway_model::RoutePolicies;
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

pub(crate) use self::address::overlap;
pub(crate) use self::conntrack::Conntrack;
pub(crate) use self::fairway::FairwayConfiguration;
pub(crate) use self::go_duration::GoDuration;
pub(crate) use self::kube_proxy::KubeProxyConfiguration;
pub(crate) use self::load::{LoadError, Loader};
pub(crate) use self::observation::Observation;
pub(crate) use self::router::Router;
pub(crate) use self::rules::{LocalPods, Rules};
use self::setting::Setting;
use crate::cleanup::Cleanup;
use crate::logging::Format;

/// One command, with all that it needs to know.
#[derive(Debug)]
pub(crate) enum Command {
    /// With the way to load the configuration again when its files change.
    Run(Box<Config>, Box<Loader>),
    /// Write the configuration that is in force to a file.
    WriteConfig(Box<Config>, PathBuf),
    /// Set what needs root's rights, and end.
    Initialize(Box<Config>),
    #[cfg(feature = "demo")]
    Demo(Demo),
    Render(Render),
    Explain(Explain),
    Doctor(Doctor),
    Check(Check),
    Cleanup(Cleanup),
}

/// The configuration of `run`. Serialized, it is the first line of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    pub(crate) source: Source,
    /// Lower-case; endpoints that carry it are local.
    pub(crate) node_name: String,
    /// Whether another agent on this node is followed.
    pub(crate) takeover: bool,
    /// Whether Services are programmed.
    pub(crate) service_proxy: bool,
    pub(crate) loopback_node_ports: bool,
    pub(crate) rules: Rules,
    pub(crate) conntrack: Conntrack,
    /// Changes that wait for twice as long make the node unhealthy.
    #[serde(rename = "syncPeriodSeconds", serialize_with = "seconds")]
    pub(crate) sync_period: Duration,
    pub(crate) oom_score_adj: i32,
    /// Whether Ingress traffic is routed.
    pub(crate) ingress: bool,
    pub(crate) router: Router,
    pub(crate) observation: Observation,
    /// What is set for routes; as it was written it is in [`Self::configz`].
    #[serde(skip)]
    pub(crate) policies: RoutePolicies,
    pub(crate) admin: Admin,
    /// How long new connections are still accepted after SIGTERM.
    #[serde(rename = "drainDelaySeconds", serialize_with = "seconds")]
    pub(crate) drain_delay: Duration,
    /// When open requests are cut after SIGTERM.
    #[serde(rename = "drainSeconds", serialize_with = "seconds")]
    pub(crate) drain: Duration,
    /// What all of this is made from, as [`Self::configz`] tells it.
    #[serde(skip)]
    kube_proxy: KubeProxyConfiguration,
    #[serde(skip)]
    fairway: FairwayConfiguration,
    /// What is wrong with policies, or may be meant for some, each a sentence without its end. A start has to live
    /// with it; what is in force is not replaced by such a configuration.
    #[serde(skip)]
    pub(crate) faults: Vec<String>,
    /// What works, but perhaps not as was meant: a sentence each, for the log.
    #[serde(skip)]
    pub(crate) warnings: Vec<String>,
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
#[cfg(feature = "demo")]
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

/// The configuration of `explain`.
#[derive(Debug)]
pub(crate) struct Explain {
    pub(crate) question: fairway_explain::Question,
    /// By what objects are to be read; without it the agent of this node is asked.
    pub(crate) config: Option<Box<Config>>,
    pub(crate) output: Output,
}

/// The configuration of `doctor`.
#[derive(Debug)]
pub(crate) struct Doctor {
    /// What a fairway on this node would be asked to do.
    pub(crate) config: Box<Config>,
    /// Whether there is a service account to ask the API server with.
    pub(crate) in_cluster: bool,
    pub(crate) output: Output,
}

/// The configuration of `check`.
#[derive(Debug)]
pub(crate) struct Check {
    /// By what objects are to be read.
    pub(crate) config: Box<Config>,
    pub(crate) output: Output,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What defaults are taken from.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// `$NODE_NAME`, which a DaemonSet sets from `spec.nodeName`.
    pub(crate) node_name: Option<String>,
    pub(crate) host_name: String,
    /// `$POD_NAME` and `$POD_NAMESPACE`, which dashboards of ingress-nginx know it by.
    pub(crate) pod_name: Option<String>,
    pub(crate) pod_namespace: Option<String>,
    /// Those that this process may use.
    pub(crate) processors: NonZeroUsize,
    /// Those of the node.
    pub(crate) online_processors: NonZeroUsize,
}

/// Settings that cannot be meant so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{setting} '{value}': {problem}")]
    Value {
        setting: Setting,
        value: String,
        problem: String,
    },
    #[error("{setting} takes one network per address family: {first} and {second} are of one")]
    SameFamily {
        setting: Setting,
        first: IpNet,
        second: IpNet,
    },
    #[error(
        "{setting} {address} overlaps with {} {}: choose another port for one",
        other.0,
        other.1
    )]
    SamePort {
        setting: Setting,
        address: SocketAddr,
        other: Box<(Setting, SocketAddr)>,
    },
    #[error("--service-proxy=false and --ingress=false leave nothing to do")]
    NothingToDo,
    #[error(transparent)]
    Question(#[from] fairway_explain::QuestionError),
}

impl Config {
    /// The documents that are in force, defaults filled in, by API group: what `/configz` answers.
    pub(crate) fn configz(&self) -> Value {
        json!({
            KubeProxyConfiguration::GROUP: self.kube_proxy,
            FairwayConfiguration::GROUP: self.fairway,
        })
    }

    /// The same as a file for `--config`.
    pub(crate) fn documents(&self) -> Result<String, serde_saphyr::ser::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a, T> {
            api_version: &'static str,
            kind: &'static str,
            #[serde(flatten)]
            content: &'a T,
        }
        let kube_proxy = serde_saphyr::to_string(&Document {
            api_version: KubeProxyConfiguration::API_VERSION,
            kind: KubeProxyConfiguration::KIND,
            content: &self.kube_proxy,
        })?;
        let fairway = serde_saphyr::to_string(&Document {
            api_version: FairwayConfiguration::API_VERSION,
            kind: FairwayConfiguration::KIND,
            content: &self.fairway,
        })?;
        Ok(format!("{kube_proxy}---\n{fairway}"))
    }

    /// Whether all that differs is what is set for routes.
    pub(crate) fn differs_in_policies_only(&self, other: &Self) -> bool {
        let mut same = other.clone();
        same.policies.clone_from(&self.policies);
        same.fairway.policies.clone_from(&self.fairway.policies);
        same.faults.clone_from(&self.faults);
        same.warnings.clone_from(&self.warnings);
        *self == same
    }

    /// How to log, as far as a file says.
    pub(crate) fn logging(&self) -> (Option<Format>, Option<u8>) {
        let logging = &self.kube_proxy.logging;
        let format = match logging.format.as_deref() {
            Some("json") => Some(Format::Json),
            Some("text") => Some(Format::Text),
            _ => None,
        };
        let verbosity = logging.verbosity;
        let verbosity = verbosity.map(|level| u8::try_from(level).unwrap_or(u8::MAX));
        (format, verbosity)
    }
}

impl Environment {
    pub(crate) fn of_this_process() -> Self {
        let host_name = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            node_name: std::env::var("NODE_NAME").ok(),
            pod_name: std::env::var("POD_NAME").ok(),
            pod_namespace: std::env::var("POD_NAMESPACE").ok(),
            host_name,
            processors,
            online_processors: conntrack::online_processors().unwrap_or(processors),
        }
    }

    /// The node's name as Kubernetes spells it: trimmed and lower-case.
    fn node_name(&self, setting: &Setting, given: &[Option<&str>]) -> Result<String, ConfigError> {
        let otherwise = [self.node_name.as_deref(), Some(&self.host_name)];
        let candidates = given.iter().copied().chain(otherwise);
        let names = candidates.flatten().map(str::trim);
        match names.into_iter().find(|name| !name.is_empty()) {
            Some(name) => Ok(name.to_lowercase()),
            None => Err(ConfigError::value(
                setting,
                "",
                "this host has no name: give the node's",
            )),
        }
    }
}

impl ConfigError {
    fn value(setting: &Setting, value: &str, problem: impl Into<String>) -> Self {
        Self::Value {
            setting: setting.clone(),
            value: value.to_owned(),
            problem: problem.into(),
        }
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}
