//! `KubeProxyConfiguration` (kubeproxy.config.k8s.io/v1alpha1): kube-proxy's flags and its file are
//! two spellings of one thing, so one type is both.
//!
//! Every field is known. Those that have no meaning here are told apart in [`super::unused`].

mod defaults;
mod gates;
mod sections;

use clap::Args;
use serde::{Deserialize, Serialize};

pub(crate) use self::defaults::{HEALTHZ_PORT, METRICS_PORT};
pub(crate) use self::gates::FeatureGates;
pub(crate) use self::sections::{
    ClientConnection, Conntrack, DetectLocal, IpTables, Ipvs, Logging, NfTables, Winkernel,
};
use super::GoDuration;

/// As written: what is absent or empty is None until [`Self::with_defaults`].
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[command(next_help_heading = "Service proxy")]
pub(crate) struct KubeProxyConfiguration {
    /// The pod network: one CIDR, or one per address family with a comma between
    ///
    /// ClusterIP traffic from elsewhere is masqueraded.
    #[arg(long, value_name = "CIDR[,CIDR]")]
    #[serde(rename = "clusterCIDR")]
    pub(crate) cluster_cidr: Option<String>,

    /// How traffic from this node's pods is recognised [default: ClusterCIDR]
    ///
    /// ClusterCIDR: by --cluster-cidr; NodeCIDR: by the Node's pod CIDRs; BridgeInterface and
    /// InterfaceNamePrefix: by the interface that it comes in through.
    #[arg(long, value_name = "MODE")]
    pub(crate) detect_local_mode: Option<String>,

    #[command(flatten)]
    pub(crate) detect_local: DetectLocal,

    /// The local addresses that node ports are served on: primary, all, or CIDRs [default: primary]
    ///
    /// primary is the Node's first address of each family. Of a family without a CIDR all addresses
    /// are; never loopback.
    #[arg(
        long = "nodeport-addresses",
        value_name = "CIDR[,CIDR...]",
        value_delimiter = ','
    )]
    pub(crate) node_port_addresses: Option<Vec<String>>,

    /// The node's primary address of its family, instead of the Node's own
    ///
    /// Nothing is bound to it: the name is kube-proxy's. 0.0.0.0 and :: say nothing.
    #[arg(long, value_name = "IP")]
    pub(crate) bind_address: Option<String>,

    #[command(flatten)]
    pub(crate) iptables: IpTables,

    #[arg(skip)]
    pub(crate) nftables: NfTables,

    #[command(flatten)]
    pub(crate) conntrack: Conntrack,

    /// How willing the kernel is to kill fairway when memory runs out, -1000 (never) to 1000
    /// [default: -999]
    #[arg(
        long,
        value_name = "SCORE",
        allow_negative_numbers = true,
        help_heading = "Process"
    )]
    pub(crate) oom_score_adj: Option<i32>,

    #[command(flatten)]
    pub(crate) client_connection: ClientConnection,

    /// How often kube-proxy asks for all objects again; fairway follows them
    #[arg(long, value_name = "DURATION", hide = true)]
    pub(crate) config_sync_period: Option<GoDuration>,

    /// Where to answer /healthz and /livez; empty: nowhere [default: 0.0.0.0:10256]
    #[arg(long, value_name = "IP:PORT", help_heading = "Health and metrics")]
    pub(crate) healthz_bind_address: Option<String>,

    /// Where to answer /metrics; empty: nowhere [default: 127.0.0.1:10249]
    #[arg(long, value_name = "IP:PORT", help_heading = "Health and metrics")]
    pub(crate) metrics_bind_address: Option<String>,

    /// Exit when one of these two addresses is taken, rather than try again
    #[arg(long, help_heading = "Health and metrics")]
    pub(crate) bind_address_hard_fail: Option<bool>,

    /// Answer /debug/pprof
    #[arg(long = "profiling", hide = true)]
    pub(crate) enable_profiling: Option<bool>,

    /// The release whose hidden metrics to show
    #[arg(long, value_name = "MAJOR.MINOR", hide = true)]
    pub(crate) show_hidden_metrics_for_version: Option<String>,

    /// iptables, ipvs or nftables
    #[arg(long = "proxy-mode", value_name = "MODE", hide = true)]
    pub(crate) mode: Option<String>,

    #[command(flatten)]
    pub(crate) ipvs: Ipvs,

    /// kube-proxy's experiments
    #[arg(long, value_name = "GATE=BOOL[,...]", hide = true)]
    pub(crate) feature_gates: Option<FeatureGates>,

    /// `--hostname-override` stands beside the file, as with kube-proxy.
    #[arg(skip)]
    pub(crate) hostname_override: Option<String>,

    /// `--v` stands beside the file, too.
    #[arg(skip)]
    pub(crate) logging: Logging,

    #[arg(skip)]
    pub(crate) port_range: Option<String>,

    #[arg(skip)]
    pub(crate) winkernel: Winkernel,

    #[arg(skip)]
    pub(crate) windows_run_as_service: Option<bool>,
}

impl KubeProxyConfiguration {
    pub(crate) const API_VERSION: &'static str = "kubeproxy.config.k8s.io/v1alpha1";
    pub(crate) const KIND: &'static str = "KubeProxyConfiguration";
    /// What `/configz` calls it.
    pub(crate) const GROUP: &'static str = "kubeproxy.config.k8s.io";

    /// What a command line means: the flags that kube-proxy names after iptables and applies to
    /// its nftables mode all the same.
    pub(crate) fn of_flags(mut self) -> Self {
        self.nftables.masquerade_all = self.iptables.masquerade_all;
        self.nftables.sync_period = self.iptables.sync_period;
        self.nftables.min_sync_period = self.iptables.min_sync_period;
        self
    }

    /// What a file means: zeros that kube-proxy takes for absent.
    pub(crate) fn of_file(mut self) -> Self {
        for period in [
            &mut self.iptables.sync_period,
            &mut self.iptables.min_sync_period,
            &mut self.nftables.sync_period,
            &mut self.nftables.min_sync_period,
            &mut self.ipvs.sync_period,
            &mut self.config_sync_period,
        ] {
            period.take_if(|period| period.is_zero());
        }
        self.node_port_addresses.take_if(|list| list.is_empty());
        self
    }

    /// The section of the mode counts, as with kube-proxy. Who names no mode may use either.
    fn of_mode<T>(&self, iptables: Option<T>, ipvs: Option<T>, nftables: Option<T>) -> Option<T> {
        match self.mode.as_deref() {
            Some("nftables") => nftables,
            Some("ipvs") => ipvs,
            Some("iptables") => iptables,
            _ => iptables.or(nftables),
        }
    }

    pub(crate) fn masquerade_bit(&self) -> Option<i32> {
        let iptables = self.iptables.masquerade_bit;
        self.of_mode(iptables, iptables, self.nftables.masquerade_bit)
    }

    pub(crate) fn masquerade_all(&self) -> bool {
        let iptables = self.iptables.masquerade_all;
        let all = self.of_mode(iptables, iptables, self.nftables.masquerade_all);
        all.unwrap_or(false)
    }

    pub(crate) fn sync_period(&self) -> Option<GoDuration> {
        let nftables = self.nftables.sync_period;
        self.of_mode(self.iptables.sync_period, self.ipvs.sync_period, nftables)
    }

    pub(crate) fn min_sync_period(&self) -> Option<GoDuration> {
        let nftables = self.nftables.min_sync_period;
        let ipvs = self.ipvs.min_sync_period;
        self.of_mode(self.iptables.min_sync_period, ipvs, nftables)
    }
}
