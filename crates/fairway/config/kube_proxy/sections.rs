//! The sections of `KubeProxyConfiguration`. Fields that no flag sets are skipped by clap.

use std::collections::BTreeMap;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::GoDuration;

#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[command(next_help_heading = "Service proxy")]
pub(crate) struct DetectLocal {
    /// The bridge of this node's pods, for BridgeInterface
    #[arg(long = "pod-bridge-interface", value_name = "NAME")]
    pub(crate) bridge_interface: Option<String>,

    /// What the names of pods' interfaces begin with, for InterfaceNamePrefix
    #[arg(long = "pod-interface-name-prefix", value_name = "PREFIX")]
    pub(crate) interface_name_prefix: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[command(next_help_heading = "Service proxy")]
pub(crate) struct IpTables {
    /// Masquerade all ClusterIP traffic
    #[arg(long)]
    pub(crate) masquerade_all: Option<bool>,

    /// The one bit of packet marks that is used, 0 to 31 [default: 14]
    #[arg(
        long = "iptables-masquerade-bit",
        value_name = "BIT",
        allow_negative_numbers = true
    )]
    pub(crate) masquerade_bit: Option<i32>,

    /// Changes that wait twice as long for the kernel make /healthz fail [default: 30s]
    #[arg(
        id = "iptables-sync-period",
        long = "iptables-sync-period",
        value_name = "DURATION"
    )]
    pub(crate) sync_period: Option<GoDuration>,

    /// How long kube-proxy rests between two changes; fairway need not
    #[arg(
        id = "iptables-min-sync-period",
        long = "iptables-min-sync-period",
        value_name = "DURATION",
        hide = true
    )]
    pub(crate) min_sync_period: Option<GoDuration>,

    /// Serve node ports on 127.0.0.1
    #[arg(long = "iptables-localhost-nodeports", hide = true)]
    pub(crate) localhost_node_ports: Option<bool>,

    #[arg(skip)]
    #[serde(rename = "snatNodeInternalIP")]
    pub(crate) snat_node_internal_ip: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NfTables {
    pub(crate) masquerade_bit: Option<i32>,
    pub(crate) masquerade_all: Option<bool>,
    pub(crate) sync_period: Option<GoDuration>,
    pub(crate) min_sync_period: Option<GoDuration>,
}

/// Only its periods are of use, for who comes from that mode.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Ipvs {
    #[arg(
        id = "ipvs-sync-period",
        long = "ipvs-sync-period",
        value_name = "DURATION",
        hide = true
    )]
    pub(crate) sync_period: Option<GoDuration>,

    #[arg(
        id = "ipvs-min-sync-period",
        long = "ipvs-min-sync-period",
        value_name = "DURATION",
        hide = true
    )]
    pub(crate) min_sync_period: Option<GoDuration>,

    #[arg(long = "ipvs-scheduler", value_name = "NAME", hide = true)]
    pub(crate) scheduler: Option<String>,

    #[arg(
        long = "ipvs-exclude-cidrs",
        value_name = "CIDR",
        value_delimiter = ',',
        hide = true
    )]
    #[serde(rename = "excludeCIDRs")]
    pub(crate) exclude_cidrs: Option<Vec<String>>,

    #[arg(long = "ipvs-strict-arp", hide = true)]
    #[serde(rename = "strictARP")]
    pub(crate) strict_arp: Option<bool>,

    #[arg(long = "ipvs-tcp-timeout", value_name = "DURATION", hide = true)]
    pub(crate) tcp_timeout: Option<GoDuration>,

    #[arg(long = "ipvs-tcpfin-timeout", value_name = "DURATION", hide = true)]
    pub(crate) tcp_fin_timeout: Option<GoDuration>,

    #[arg(
        id = "ipvs-udp-timeout",
        long = "ipvs-udp-timeout",
        value_name = "DURATION",
        hide = true
    )]
    pub(crate) udp_timeout: Option<GoDuration>,
}

#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[command(next_help_heading = "Connection tracking")]
pub(crate) struct Conntrack {
    /// Connections to track per core; 0 leaves the kernel's limit alone [default: 32768]
    #[arg(
        long = "conntrack-max-per-core",
        value_name = "COUNT",
        allow_negative_numbers = true
    )]
    pub(crate) max_per_core: Option<i32>,

    /// Connections to track at least, however few cores there are [default: 131072]
    #[arg(
        long = "conntrack-min",
        value_name = "COUNT",
        allow_negative_numbers = true
    )]
    pub(crate) min: Option<i32>,

    /// When an idle TCP connection is forgotten; 0 leaves the kernel's value alone [default: 24h]
    #[arg(long = "conntrack-tcp-timeout-established", value_name = "DURATION")]
    pub(crate) tcp_established_timeout: Option<GoDuration>,

    /// When a TCP connection in CLOSE_WAIT is forgotten; 0 leaves it alone [default: 1h]
    #[arg(long = "conntrack-tcp-timeout-close-wait", value_name = "DURATION")]
    pub(crate) tcp_close_wait_timeout: Option<GoDuration>,

    /// Take TCP packets outside of the window for valid
    #[arg(long = "conntrack-tcp-be-liberal")]
    pub(crate) tcp_be_liberal: Option<bool>,

    /// When a UDP flow without an answer is forgotten [default: the kernel's value]
    #[arg(long = "conntrack-udp-timeout", value_name = "DURATION")]
    pub(crate) udp_timeout: Option<GoDuration>,

    /// When a UDP flow with answers is forgotten [default: the kernel's value]
    #[arg(long = "conntrack-udp-timeout-stream", value_name = "DURATION")]
    pub(crate) udp_stream_timeout: Option<GoDuration>,
}

#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClientConnection {
    /// `--kubeconfig` is one of several sources of objects, and declared with them.
    #[arg(skip)]
    pub(crate) kubeconfig: Option<String>,

    #[arg(skip)]
    pub(crate) accept_content_types: Option<String>,

    #[arg(long = "kube-api-content-type", value_name = "TYPE", hide = true)]
    pub(crate) content_type: Option<String>,

    #[arg(long = "kube-api-qps", value_name = "RATE", hide = true)]
    pub(crate) qps: Option<f32>,

    #[arg(
        long = "kube-api-burst",
        value_name = "COUNT",
        allow_negative_numbers = true,
        hide = true
    )]
    pub(crate) burst: Option<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Logging {
    pub(crate) format: Option<String>,
    /// A duration or a number of nanoseconds.
    pub(crate) flush_frequency: Option<Value>,
    pub(crate) verbosity: Option<u32>,
    pub(crate) vmodule: Option<Value>,
    pub(crate) options: Option<BTreeMap<String, Value>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Winkernel {
    pub(crate) network_name: Option<String>,
    pub(crate) source_vip: Option<String>,
    #[serde(rename = "enableDSR")]
    pub(crate) enable_dsr: Option<bool>,
    pub(crate) root_hns_endpoint_name: Option<String>,
    pub(crate) forward_health_check_vip: Option<bool>,
}
