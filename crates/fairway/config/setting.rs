//! What operators call a setting: a flag, or a field of a file.

use std::fmt;
use std::path::Path;

use super::file::Origins;

/// One setting, with the name that the operator used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    flag: &'static str,
    /// Of a `KubeProxyConfiguration`; a `FairwayConfiguration` calls its fields like the flags.
    kube_proxy_field: Option<&'static str>,
    /// The file that it is from.
    file: Option<Box<Path>>,
}

impl Setting {
    /// One that kube-proxy has.
    pub(super) const fn of_kube_proxy(flag: &'static str, field: &'static str) -> Self {
        Self {
            flag,
            kube_proxy_field: Some(field),
            file: None,
        }
    }

    /// One that only fairway has.
    pub(super) const fn own(flag: &'static str) -> Self {
        Self {
            flag,
            kube_proxy_field: None,
            file: None,
        }
    }

    /// The field of a configuration file.
    pub(super) fn field(&self) -> String {
        match self.kube_proxy_field {
            Some(field) => field.to_owned(),
            None => camel_case(self.flag),
        }
    }

    /// The same, called as in the file that it is from.
    pub(super) fn located(mut self, origins: &Origins) -> Self {
        self.file = match (
            &self.kube_proxy_field,
            &origins.kube_proxy,
            &origins.fairway,
        ) {
            (Some(_), Some(file), _) => Some(file.as_path().into()),
            (None, _, Some((file, fields))) if fields.contains(&self.field()) => {
                Some(file.as_path().into())
            }
            _ => None,
        };
        self
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: {}", file.display(), self.field()),
            None => f.write_str(self.flag),
        }
    }
}

/// `--drain-seconds` is `drainSeconds`.
fn camel_case(flag: &str) -> String {
    let mut words = flag.trim_start_matches('-').split('-');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

pub(super) const CLUSTER_CIDR: Setting = Setting::of_kube_proxy("--cluster-cidr", "clusterCIDR");
pub(super) const DETECT_LOCAL_MODE: Setting =
    Setting::of_kube_proxy("--detect-local-mode", "detectLocalMode");
pub(super) const BRIDGE: Setting =
    Setting::of_kube_proxy("--pod-bridge-interface", "detectLocal.bridgeInterface");
pub(super) const INTERFACE_PREFIX: Setting = Setting::of_kube_proxy(
    "--pod-interface-name-prefix",
    "detectLocal.interfaceNamePrefix",
);
pub(super) const NODE_PORT_ADDRESSES: Setting =
    Setting::of_kube_proxy("--nodeport-addresses", "nodePortAddresses");
pub(super) const BIND_ADDRESS: Setting = Setting::of_kube_proxy("--bind-address", "bindAddress");
pub(super) const IPTABLES_BIT: Setting =
    Setting::of_kube_proxy("--iptables-masquerade-bit", "iptables.masqueradeBit");
pub(super) const NFTABLES_BIT: Setting =
    Setting::of_kube_proxy("--iptables-masquerade-bit", "nftables.masqueradeBit");
pub(super) const IPTABLES_SYNC: Setting =
    Setting::of_kube_proxy("--iptables-sync-period", "iptables.syncPeriod");
pub(super) const NFTABLES_SYNC: Setting =
    Setting::of_kube_proxy("--iptables-sync-period", "nftables.syncPeriod");
pub(super) const IPVS_SYNC: Setting =
    Setting::of_kube_proxy("--ipvs-sync-period", "ipvs.syncPeriod");
pub(super) const CONFIG_SYNC_PERIOD: Setting =
    Setting::of_kube_proxy("--config-sync-period", "configSyncPeriod");
pub(super) const PROXY_MODE: Setting = Setting::of_kube_proxy("--proxy-mode", "mode");
pub(super) const CONNTRACK_MAX: Setting =
    Setting::of_kube_proxy("--conntrack-max-per-core", "conntrack.maxPerCore");
pub(super) const CONNTRACK_MIN: Setting =
    Setting::of_kube_proxy("--conntrack-min", "conntrack.min");
pub(super) const OOM_SCORE_ADJ: Setting = Setting::of_kube_proxy("--oom-score-adj", "oomScoreAdj");
pub(super) const BURST: Setting =
    Setting::of_kube_proxy("--kube-api-burst", "clientConnection.burst");
pub(super) const HEALTHZ: Setting =
    Setting::of_kube_proxy("--healthz-bind-address", "healthzBindAddress");
pub(super) const METRICS: Setting =
    Setting::of_kube_proxy("--metrics-bind-address", "metricsBindAddress");
pub(super) const HTTPS_ADDRESS: Setting = Setting::own("--ingress-https-address");
pub(super) const DEFAULT_TLS_SECRET: Setting = Setting::own("--default-tls-secret");
pub(super) const DEFAULT_BACKEND_SERVICE: Setting = Setting::own("--default-backend-service");
pub(super) const HTTP_ADDRESS: Setting = Setting::own("--ingress-http-address");
pub(super) const INGRESS_CLASS: Setting = Setting::own("--ingress-class");
pub(super) const CONTROLLER: Setting = Setting::own("--controller");
pub(super) const PROXY_PROTOCOL: Setting = Setting::own("--proxy-protocol");
pub(super) const TRUSTED_PROXIES: Setting = Setting::own("--trusted-proxies");
pub(super) const PUBLISH_SERVICE: Setting = Setting::own("--publish-service");
pub(super) const PUBLISH_STATUS_ADDRESS: Setting = Setting::own("--publish-status-address");
pub(super) const PUBLISH_NODE_ADDRESSES: Setting = Setting::own("--publish-node-addresses");
pub(super) const FLOW_TABLE_INTERFACES: Setting = Setting::own("--flow-table-interfaces");
pub(super) const ACCESS_LOG: Setting = Setting::own("--access-log");
pub(super) const ACCESS_LOG_FORMAT: Setting = Setting::own("--access-log-format");
pub(super) const TRACE_SAMPLE_RATIO: Setting = Setting::own("--trace-sample-ratio");
pub(super) const OTLP_ENDPOINT: Setting = Setting::own("--otlp-endpoint");
pub(super) const HOSTNAME: Setting =
    Setting::of_kube_proxy("--hostname-override", "hostnameOverride");
pub(super) const NODE_NAME: Setting = Setting::of_kube_proxy("--node-name", "hostnameOverride");
