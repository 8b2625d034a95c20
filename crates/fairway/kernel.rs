//! Kernel settings, as kube-proxy sets them: read first, written only where they differ, and nothing
//! at all that Services do not need.
//!
//! kube-proxy ends when it may not write one. Here that is a warning: Services work without, and a
//! node that has them is better than one that has not.

#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use fairway_plan::Family;
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
            for (_, hint) in self.routing() {
                warn!("{}", hint.message);
            }
        }
        if config.takeover {
            self.migrate_connections();
        }
    }

    /// Returns what could not be set.
    fn set_conntrack(&self, conntrack: &Conntrack) -> Vec<SettingError> {
        let wishes = self.wishes(conntrack).into_iter();
        wishes.filter_map(|wish| wish.fulfil().err()).collect()
    }

    /// What is not as it should be right now, for a node with these addresses. Changes nothing.
    pub(crate) fn unmet(&self, config: &Config, addresses: &[IpAddr]) -> Vec<Unmet> {
        if !config.service_proxy {
            return Vec::new();
        }
        let wishes = self.wishes(&config.conntrack).into_iter();
        let mut unmet: Vec<_> = wishes.filter_map(Wish::unmet).collect();
        let routing = self.routing().into_iter();
        // A node without IPv6 need not forward it.
        let routing = routing.filter(|(family, _)| {
            let is_of = |address: &IpAddr| address.is_ipv6() == (*family == Family::Ip6);
            addresses.iter().any(is_of)
        });
        unmet.extend(routing.map(|(_, it)| it));
        unmet
    }

    fn wishes(&self, conntrack: &Conntrack) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let mut wish = |path: PathBuf, wanted: Option<u64>, more_is_good: bool| {
            wishes.extend(wanted.map(|wanted| Wish {
                path,
                wanted,
                more_is_good,
            }));
        };
        let netfilter = self.proc.join("sys/net/netfilter");
        // Never less than there is: who raised it knew why.
        let max = conntrack.max;
        wish(netfilter.join("nf_conntrack_max"), max, true);
        // The kernel's own ratio of buckets to connections is no better than 1 to 4; kube-proxy
        // keeps to that.
        let buckets = self.sys.join("module/nf_conntrack/parameters/hashsize");
        wish(buckets, max.map(|max| max / 4), true);
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
            wish(netfilter.join(name), wanted, false);
        }
        wishes
    }

    /// Connections whose handshake is under way when a listener closes go to the one beside it. It is a
    /// setting of the whole node, so only for those who wish for such listeners.
    fn migrate_connections(&self) {
        let migrate = Wish {
            path: self.proc.join("sys/net/ipv4/tcp_migrate_req"),
            wanted: 1,
            more_is_good: false,
        };
        if let Err(error) = migrate.fulfil() {
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
    fn routing(&self) -> Vec<(Family, Unmet)> {
        let forwards = [
            ("sys/net/ipv4/ip_forward", Family::Ip4, "IPv4"),
            ("sys/net/ipv6/conf/all/forwarding", Family::Ip6, "IPv6"),
        ];
        let mut unmet = Vec::new();
        for (file, family, name) in forwards {
            let path = self.proc.join(file);
            if std::fs::read_to_string(&path).is_ok_and(|value| value.trim() == "0") {
                let message = format!(
                    "{} is 0: this node does not forward {name}, so nothing but itself reaches \
                     pods through Services",
                    path.display()
                );
                unmet.push((family, Unmet { path, message }));
            }
        }
        unmet
    }
}

/// A value that a setting should have.
#[derive(Debug)]
struct Wish {
    path: PathBuf,
    wanted: u64,
    /// A larger one will do as well.
    more_is_good: bool,
}

/// A setting that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// Which.
    pub(crate) path: PathBuf,
    /// What it is, and what it should be or what follows.
    pub(crate) message: String,
}

impl Wish {
    /// What it is, unless that will do.
    fn differing(&self) -> Result<Option<String>, SettingError> {
        let current = std::fs::read_to_string(&self.path).map_err(|source| SettingError::Read {
            path: self.path.clone(),
            source,
        })?;
        let current = current.trim();
        let will_do = |current: u64| match self.more_is_good {
            true => current >= self.wanted,
            false => current == self.wanted,
        };
        Ok((!current.parse().is_ok_and(will_do)).then(|| current.to_owned()))
    }

    fn fulfil(&self) -> Result<(), SettingError> {
        let Self { path, wanted, .. } = self;
        let Some(current) = self.differing()? else {
            return Ok(());
        };
        if let Err(source) = std::fs::write(path, wanted.to_string()) {
            return Err(SettingError::Write {
                path: path.clone(),
                current,
                wanted: *wanted,
                source,
            });
        }
        info!(path = %path.display(), from = current, to = wanted, "set a kernel setting");
        Ok(())
    }

    /// None where it is fulfilled, and where it cannot be read: what a kernel does not have was told.
    fn unmet(self) -> Option<Unmet> {
        let current = self.differing().ok()??;
        let message = format!(
            "{} is {current} and should be {}: set it on the node, or let the agent start with /proc/sys writable",
            self.path.display(),
            self.wanted
        );
        Some(Unmet {
            path: self.path,
            message,
        })
    }
}
