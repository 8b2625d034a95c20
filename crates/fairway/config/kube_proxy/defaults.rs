//! What kube-proxy takes for granted.

use std::net::IpAddr;
use std::time::Duration;

use super::KubeProxyConfiguration;
use crate::config::GoDuration;

pub(crate) const HEALTHZ_PORT: u16 = 10256;
pub(crate) const METRICS_PORT: u16 = 10249;

impl KubeProxyConfiguration {
    /// Fills in what is absent. Fields without a meaning here stay as they are.
    pub(crate) fn with_defaults(mut self) -> Self {
        let bind_address = text(&mut self.bind_address, "0.0.0.0");
        let is_ip6 = bind_address.parse().is_ok_and(|ip: IpAddr| ip.is_ipv6());
        let [any, loopback] = match is_ip6 {
            true => ["[::]", "[::1]"],
            false => ["0.0.0.0", "127.0.0.1"],
        };
        text(
            &mut self.healthz_bind_address,
            &format!("{any}:{HEALTHZ_PORT}"),
        );
        text(
            &mut self.metrics_bind_address,
            &format!("{loopback}:{METRICS_PORT}"),
        );
        text(&mut self.detect_local_mode, "ClusterCIDR");
        self.bind_address_hard_fail.get_or_insert(false);
        self.oom_score_adj.get_or_insert(-999);
        self.node_port_addresses
            .get_or_insert_with(|| vec!["primary".to_owned()]);

        let conntrack = &mut self.conntrack;
        conntrack.max_per_core.get_or_insert(32 * 1024);
        conntrack.min.get_or_insert(128 * 1024);
        let established = &mut conntrack.tcp_established_timeout;
        established.get_or_insert(hours(24));
        // Half-closed connections of clients that leak them:
        // github.com/kubernetes/kubernetes/issues/32551.
        conntrack.tcp_close_wait_timeout.get_or_insert(hours(1));
        conntrack.tcp_be_liberal.get_or_insert(false);
        conntrack.udp_timeout.get_or_insert(GoDuration::ZERO);
        conntrack.udp_stream_timeout.get_or_insert(GoDuration::ZERO);

        // What one section has is in force, whichever it is; the others follow it.
        let seconds = |number| GoDuration::from(Duration::from_secs(number));
        let period = self.sync_period().unwrap_or(seconds(30));
        let pause = self.min_sync_period().unwrap_or(seconds(1));
        let bit = self.masquerade_bit().unwrap_or(14);
        let all = self.masquerade_all();
        let (iptables, nftables) = (&mut self.iptables, &mut self.nftables);
        iptables.sync_period.get_or_insert(period);
        iptables.min_sync_period.get_or_insert(pause);
        iptables.masquerade_bit.get_or_insert(bit);
        iptables.masquerade_all.get_or_insert(all);
        nftables.sync_period.get_or_insert(period);
        nftables.min_sync_period.get_or_insert(pause);
        nftables.masquerade_bit.get_or_insert(bit);
        nftables.masquerade_all.get_or_insert(all);
        self.ipvs.sync_period.get_or_insert(period);
        self.ipvs.min_sync_period.get_or_insert(pause);
        self
    }
}

fn text<'a>(field: &'a mut Option<String>, default: &str) -> &'a str {
    field.get_or_insert_with(|| default.to_owned())
}

fn hours(number: u64) -> GoDuration {
    Duration::from_secs(number * 60 * 60).into()
}
