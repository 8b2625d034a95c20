//! Kernel settings, as kube-proxy sets them: read first, written only where they differ, and nothing
//! at all that Services do not need.
//!
//! kube-proxy ends when it may not write one. Here that is a warning: Services work without, and a
//! node that has them is better than one that has not.

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::config::{Config, Conntrack, GoDuration};

/// Where settings are files.
#[derive(Debug)]
pub(crate) struct Kernel {
    proc: PathBuf,
    sys: PathBuf,
}

/// A setting that is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{path} is {current} and should be {wanted}, but may not be written ({source}): run as root \
         with /proc/sys writable (privileged), or set it on the node",
        path = path.display()
    )]
    Write {
        path: PathBuf,
        current: String,
        wanted: u64,
        source: io::Error,
    },
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
        }
    }
}

impl Kernel {
    /// Brings the settings to what the configuration says; what cannot be is told and left.
    pub(crate) fn prepare(&self, config: &Config) {
        self.set_oom_score(config.oom_score_adj);
        if config.service_proxy {
            for error in self.set_conntrack(&config.conntrack) {
                warn!("{error}");
            }
            for hint in self.routing() {
                warn!("{hint}");
            }
        }
        if config.takeover {
            self.migrate_connections();
        }
    }

    /// Returns what could not be set.
    fn set_conntrack(&self, conntrack: &Conntrack) -> Vec<SettingError> {
        let mut results = Vec::new();
        let netfilter = self.proc.join("sys/net/netfilter");
        if let Some(max) = conntrack.max {
            // Never less than there is: who raised it knew why.
            results.push(raise(&netfilter.join("nf_conntrack_max"), max));
            // The kernel's own ratio of buckets to connections is no better than 1 to 4; kube-proxy
            // keeps to that.
            let buckets = self.sys.join("module/nf_conntrack/parameters/hashsize");
            results.push(raise(&buckets, max / 4));
        }
        let seconds =
            |timeout: Option<GoDuration>| timeout.map(|timeout| Duration::from(timeout).as_secs());
        let settings = [
            (
                "nf_conntrack_tcp_timeout_established",
                seconds(conntrack.tcp_established),
            ),
            (
                "nf_conntrack_tcp_timeout_close_wait",
                seconds(conntrack.tcp_close_wait),
            ),
            (
                "nf_conntrack_tcp_be_liberal",
                conntrack.tcp_be_liberal.then_some(1),
            ),
            ("nf_conntrack_udp_timeout", seconds(conntrack.udp)),
            (
                "nf_conntrack_udp_timeout_stream",
                seconds(conntrack.udp_stream),
            ),
        ];
        for (name, wanted) in settings {
            if let Some(wanted) = wanted {
                results.push(set(&netfilter.join(name), wanted));
            }
        }
        results.into_iter().filter_map(Result::err).collect()
    }

    /// Connections whose handshake is under way when a listener closes go to the one beside it. It is a
    /// setting of the whole node, so only for those who wish for such listeners.
    fn migrate_connections(&self) {
        let path = self.proc.join("sys/net/ipv4/tcp_migrate_req");
        if let Err(error) = set(&path, 1) {
            debug!(%error, "connections that open during the takeover may be refused");
        }
    }

    fn set_oom_score(&self, score: i32) {
        let path = self.proc.join("self/oom_score_adj");
        let score = score.to_string();
        let current = std::fs::read_to_string(&path);
        if current.is_ok_and(|current| current.trim() == score) {
            return;
        }
        if let Err(error) = std::fs::write(&path, &score) {
            // Lowering it takes CAP_SYS_RESOURCE, which an agent can do without.
            debug!(%error, score, "cannot set the OOM score");
        }
    }

    /// What stands in the way of routing. Not ours to change: the pod network and the operator of the
    /// node decide it.
    fn routing(&self) -> Vec<String> {
        let forwards = [
            ("sys/net/ipv4/ip_forward", "IPv4"),
            ("sys/net/ipv6/conf/all/forwarding", "IPv6"),
        ];
        let forwards = forwards.into_iter().filter(|(file, _)| {
            let value = std::fs::read_to_string(self.proc.join(file));
            value.is_ok_and(|value| value.trim() == "0")
        });
        forwards
            .map(|(file, family)| {
                let path = self.proc.join(file);
                format!(
                    "{} is 0: this node does not forward {family}, so nothing but itself reaches \
                     pods through Services",
                    path.display()
                )
            })
            .collect()
    }
}

fn set(path: &Path, wanted: u64) -> Result<(), SettingError> {
    write_unless(path, wanted, |current| current == wanted)
}

fn raise(path: &Path, wanted: u64) -> Result<(), SettingError> {
    write_unless(path, wanted, |current| current >= wanted)
}

fn write_unless(
    path: &Path,
    wanted: u64,
    is_good: impl Fn(u64) -> bool,
) -> Result<(), SettingError> {
    let current = std::fs::read_to_string(path).map_err(|source| SettingError::Read {
        path: path.to_owned(),
        source,
    })?;
    let current = current.trim();
    if current.parse().is_ok_and(is_good) {
        return Ok(());
    }
    std::fs::write(path, wanted.to_string()).map_err(|source| SettingError::Write {
        path: path.to_owned(),
        current: current.to_owned(),
        wanted,
        source,
    })?;
    info!(path = %path.display(), from = current, to = wanted, "set a kernel setting");
    Ok(())
}
