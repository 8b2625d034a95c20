//! From flags and files to one configuration.

use std::path::PathBuf;
use std::time::Duration;

use super::file::{Documents, FileError, Origins};
use super::kube_proxy::{HEALTHZ_PORT, METRICS_PORT};
use super::policies::Fault;
use super::setting::{self, HEALTHZ, HOSTNAME, METRICS, NODE_NAME};
use super::{
    Admin, Config, ConfigError, Conntrack, Environment, KubeProxyConfiguration, Observation,
    Render, Router, Rules, Source, address, check, unused,
};
use crate::args::{RenderArgs, RetiredArgs, RunArgs};

/// Why there is no configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// A file of `--config`.
    #[error(transparent)]
    File(#[from] FileError),
    /// A setting, whether from a flag or a file.
    #[error(transparent)]
    Setting(#[from] ConfigError),
}

/// Loads the configuration, and again when its files have changed.
#[derive(Clone, Debug)]
pub(crate) struct Loader {
    args: RunArgs,
    /// kube-proxy's flags that are on the command line.
    given: Vec<String>,
    environment: Environment,
}

impl Loader {
    pub(crate) fn new(args: RunArgs, given: Vec<String>, environment: Environment) -> Self {
        Self {
            args,
            given,
            environment,
        }
    }

    /// The files that the configuration is made of.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.args.settings.config
    }

    pub(crate) fn load(&self) -> Result<Config, LoadError> {
        let documents = Documents::of(self.args.settings.clone())?;
        let config = self.typed(&documents);
        config.map_err(|error| error.located(&documents.origins).into())
    }

    fn typed(&self, documents: &Documents) -> Result<Config, ConfigError> {
        let mut warnings = documents.warnings.clone();
        let mut kube_proxy = documents.kube_proxy.clone();
        if let Some(file) = &documents.origins.kube_proxy {
            if !self.given.is_empty() {
                let flags = self.given.join(" ");
                let file = file.display();
                warnings.push(format!(
                    "{flags}: ignored, because {file} replaces the flags"
                ));
            }
        } else {
            with_ports(&mut kube_proxy, &self.args.retired);
        }
        check::kube_proxy(&kube_proxy)?;
        warnings.extend(unused::warnings(&kube_proxy, &self.args.retired));
        let source = self.source(&kube_proxy, &mut warnings);
        let names = [
            self.args.node.hostname_override.as_deref(),
            kube_proxy.hostname_override.as_deref(),
        ];
        let node_name = self.environment.node_name(&HOSTNAME, &names)?;

        let kube_proxy = kube_proxy.with_defaults();
        let fairway = documents.fairway.clone();
        let (policies, faults) = fairway.policies.parse();
        let file = documents.origins.fairway.as_ref();
        let file = file.map(|(file, _)| format!("{}: ", file.display()));
        let located = |fault: &Fault| format!("{}{}", file.as_deref().unwrap_or(""), fault.problem);
        let told = faults.iter();
        warnings.extend(told.map(|fault| format!("{}; {}", located(fault), fault.effect)));
        let period = kube_proxy.sync_period().map(Duration::from);
        let config = Config {
            source,
            node_name,
            takeover: self.args.takeover,
            service_proxy: fairway.service_proxy.service_proxy,
            loopback_node_ports: fairway.service_proxy.loopback_node_ports,
            rules: Rules::new(&kube_proxy, &fairway.service_proxy)?,
            conntrack: Conntrack::new(&kube_proxy.conntrack, self.environment.online_processors)?,
            sync_period: period.unwrap_or_default(),
            oom_score_adj: kube_proxy.oom_score_adj.unwrap_or_default(),
            ingress: fairway.ingress.ingress,
            drain_delay: Duration::from_secs(fairway.ingress.drain_delay_seconds.into()),
            drain: Duration::from_secs(fairway.ingress.drain_seconds.into()),
            router: Router::new(&fairway.ingress, &fairway.status, &self.environment)?,
            observation: Observation::new(
                &fairway.observation,
                fairway.ingress.controller.first().map_or("", |it| it),
                &self.environment,
            )?,
            policies,
            admin: Admin::try_from(&kube_proxy)?,
            kube_proxy,
            fairway,
            faults: documents
                .faults
                .iter()
                .cloned()
                .chain(faults.iter().map(located))
                .collect(),
            warnings,
        };
        config.check()?;
        Ok(config.with_warnings())
    }

    /// A directory of manifests is nothing that a file of kube-proxy's could mean.
    fn source(&self, kube_proxy: &KubeProxyConfiguration, warnings: &mut Vec<String>) -> Source {
        let args = &self.args.source;
        let in_file = kube_proxy.client_connection.kubeconfig.as_ref();
        let in_file = in_file.map(PathBuf::from);
        match (&args.manifests, in_file, &args.kubeconfig) {
            (Some(directory), _, _) => Source::Manifests(directory.clone()),
            (None, Some(file), given) => {
                if given.as_ref().is_some_and(|given| *given != file) {
                    let line = "--kubeconfig: ignored, because a file of --config names another";
                    warnings.push(line.to_owned());
                }
                Source::Kubeconfig(file)
            }
            (None, None, Some(file)) => Source::Kubeconfig(file.clone()),
            (None, None, None) => Source::InCluster,
        }
    }
}

impl Config {
    fn with_warnings(mut self) -> Self {
        if self.service_proxy {
            self.warnings.extend(self.rules.warnings());
        }
        if self.ingress {
            self.warnings.extend(self.router.warnings());
        }
        self
    }
}

impl Render {
    pub(crate) fn new(args: RenderArgs, environment: &Environment) -> Result<Self, LoadError> {
        let documents = Documents::of(args.settings)?;
        let config = || {
            let kube_proxy = &documents.kube_proxy;
            let names = [
                args.node_name.as_deref(),
                kube_proxy.hostname_override.as_deref(),
            ];
            check::kube_proxy(kube_proxy)?;
            let node_name = environment.node_name(&NODE_NAME, &names)?;
            Ok(Self {
                manifests: args.manifests.clone(),
                node_name,
                rules: Rules::new(kube_proxy, &documents.fairway.service_proxy)?,
            })
        };
        config().map_err(|error: ConfigError| error.located(&documents.origins).into())
    }
}

/// kube-proxy's flags of before there were addresses: 0 means no server, and another number is the
/// port of an address that has none.
fn with_ports(kube_proxy: &mut KubeProxyConfiguration, retired: &RetiredArgs) {
    let fields = [
        (&mut kube_proxy.healthz_bind_address, retired.healthz_port),
        (&mut kube_proxy.metrics_bind_address, retired.metrics_port),
    ];
    for (field, port) in fields {
        match (port, &field) {
            (Some(0), _) => *field = Some(String::new()),
            (Some(port), Some(address)) => {
                let ip = address.trim().parse::<std::net::IpAddr>();
                if let Ok(ip) = ip {
                    *field = Some(std::net::SocketAddr::new(ip, port).to_string());
                }
            }
            // The defaults have a port.
            (Some(_), None) | (None, _) => {}
        }
    }
}

impl TryFrom<&KubeProxyConfiguration> for Admin {
    type Error = ConfigError;

    fn try_from(config: &KubeProxyConfiguration) -> Result<Self, ConfigError> {
        let server = |setting, text: &Option<String>, port| {
            address::admin(setting, text.as_deref().unwrap_or_default(), port)
        };
        Ok(Self {
            healthz_bind_address: server(&HEALTHZ, &config.healthz_bind_address, HEALTHZ_PORT)?,
            metrics_bind_address: server(&METRICS, &config.metrics_bind_address, METRICS_PORT)?,
            bind_address_hard_fail: config.bind_address_hard_fail.unwrap_or(false),
        })
    }
}

impl ConfigError {
    /// The same, naming settings as in the files that they are from.
    fn located(self, origins: &Origins) -> Self {
        let located = |setting: setting::Setting| setting.located(origins);
        match self {
            Self::Value {
                setting,
                value,
                problem,
            } => Self::Value {
                setting: located(setting),
                value,
                problem,
            },
            Self::SameFamily {
                setting,
                first,
                second,
            } => Self::SameFamily {
                setting: located(setting),
                first,
                second,
            },
            Self::SamePort {
                setting,
                address,
                other,
            } => Self::SamePort {
                setting: located(setting),
                address,
                other: Box::new((located(other.0), other.1)),
            },
            Self::NothingToDo | Self::Question(_) => self,
        }
    }
}
