//! What kube-proxy's configuration may ask for and fairway does not do. Who asks is told once; the
//! other fields without a use are these, and mean nothing on Linux or to a program that follows
//! changes rather than looking for them:
//!
//! * `winkernel`, `windowsRunAsService`: for Windows;
//! * `portRange`: kube-proxy has no use for it either;
//! * `configSyncPeriod`: objects are watched, and listed again only when a watch is lost;
//! * `clientConnection.qps`, `.burst`, the content types: there are six requests, and they last;
//! * `ipvs`: without a meaning in other modes;
//! * `logging`: all but the format and the verbosity.

use super::KubeProxyConfiguration;
use crate::args::RetiredArgs;

/// A sentence for each wish that is not fulfilled.
pub(super) fn warnings(config: &KubeProxyConfiguration, retired: &RetiredArgs) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    if let Some(mode @ ("iptables" | "ipvs")) = config.mode.as_deref() {
        let addresses = match config.node_port_addresses {
            Some(_) => "",
            None => {
                "; node ports answer on the node's primary addresses, as in kube-proxy's nftables \
                 mode (nodePortAddresses: [all] for all of them)"
            }
        };
        warnings.push(format!(
            "mode {mode}: fairway always uses nf_tables, and Services work the same{addresses}"
        ));
    }
    let is_true = |setting: Option<bool>| setting == Some(true);
    if is_true(config.iptables.localhost_node_ports) {
        warnings.push(
            "iptables.localhostNodePorts: node ports are served on 127.0.0.1 and ::1 only with \
             --loopback-node-ports (loopbackNodePorts of a FairwayConfiguration)"
                .to_owned(),
        );
    }
    if is_true(config.iptables.snat_node_internal_ip) {
        warnings.push(
            "iptables.snatNodeInternalIP: traffic is masqueraded with the address of the \
             interface that it leaves by"
                .to_owned(),
        );
    }
    if is_true(config.enable_profiling) {
        warnings.push("enableProfiling: there is no /debug/pprof".to_owned());
    }
    if config.show_hidden_metrics_for_version.is_some() {
        warnings.push("showHiddenMetricsForVersion: no metrics are hidden".to_owned());
    }
    let gates = config.feature_gates.iter().flat_map(|gates| &gates.0);
    let gates: Vec<_> = gates.map(|(name, _)| name.as_str()).collect();
    if !gates.is_empty() {
        let gates = gates.join(", ");
        warnings.push(format!(
            "featureGates {gates}: fairway has no feature gates"
        ));
    }
    if let Some(format) = config.logging.format.as_deref()
        && !["text", "json"].contains(&format)
    {
        warnings.push(format!(
            "logging.format {format}: the formats are text and json"
        ));
    }
    if retired.master.is_some() {
        warnings.push("--master: the API server is taken from the kubeconfig".to_owned());
    }
    warnings
}
