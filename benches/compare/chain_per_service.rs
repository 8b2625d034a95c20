//! The peer: a chain and an anonymous map for each Service, written by `nft -f -`. That is kube-proxy's
//! layout and way, without what kube-proxy spends on its own account.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::nft;

/// The table of a network namespace; everything must run inside it.
pub(crate) struct ChainPerService {
    /// Endpoints of each Service.
    endpoints: usize,
}

impl ChainPerService {
    /// Writes all Services to an empty kernel.
    pub(crate) fn cold(services: usize, endpoints: usize) -> (Self, Duration) {
        let table = Self { endpoints };
        let mut script = String::from(
            "add table ip peer\n\
             add map ip peer service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }\n\
             add chain ip peer services\n\
             add rule ip peer services ip daddr . meta l4proto . th dport vmap @service-ips\n",
        );
        for index in 0..services {
            table.add(&mut script, index);
        }
        let took = nft(&script);
        (table, took)
    }

    /// Writes all Services again, as who finds them there and does not know what they look like.
    pub(crate) fn restart(&self, services: usize) -> Duration {
        let mut script = String::new();
        for index in 0..services {
            let _ = writeln!(
                script,
                "add chain ip peer service-{index}\nflush chain ip peer service-{index}"
            );
            self.add(&mut script, index);
        }
        nft(&script)
    }

    /// The last endpoint of a Service becomes another one.
    pub(crate) fn change_endpoint(&self, index: usize, version: usize) -> Duration {
        self.change_endpoints(std::iter::once(index), version)
    }

    /// The same for many, in one batch.
    pub(crate) fn change_endpoints(
        &self,
        services: impl Iterator<Item = usize>,
        version: usize,
    ) -> Duration {
        let mut script = String::new();
        for index in services {
            let _ = writeln!(script, "flush chain ip peer service-{index}");
            self.rule(&mut script, index, version);
        }
        nft(&script)
    }

    /// Adds a Service.
    pub(crate) fn add_service(&self, index: usize) -> Duration {
        let mut script = String::new();
        self.add(&mut script, index);
        nft(&script)
    }

    /// Removes it again.
    pub(crate) fn remove_service(&self, index: usize) -> Duration {
        let address = cluster_ip(index);
        nft(&format!(
            "delete element ip peer service-ips {{ {address} . tcp . 80 }}\n\
             flush chain ip peer service-{index}\n\
             delete chain ip peer service-{index}\n"
        ))
    }

    fn add(&self, script: &mut String, index: usize) {
        let address = cluster_ip(index);
        // Writing to a String does not fail.
        let _ = writeln!(script, "add chain ip peer service-{index}");
        self.rule(script, index, 0);
        let _ = writeln!(
            script,
            "add element ip peer service-ips {{ {address} . tcp . 80 : goto service-{index} }}"
        );
    }

    fn rule(&self, script: &mut String, index: usize, version: usize) {
        let count = self.endpoints;
        let _ = write!(
            script,
            "add rule ip peer service-{index} meta l4proto tcp dnat ip addr . port to \
             numgen random mod {count} map {{ "
        );
        for position in 0..count {
            let version = if position + 1 == count { version } else { 0 };
            let endpoint = endpoint(index * count + position, version);
            let _ = write!(script, "{position} : {endpoint} . 8080, ");
        }
        script.push_str("}\n");
    }
}

/// The ClusterIP of that number.
pub(crate) fn cluster_ip(index: usize) -> IpAddr {
    address([10, 32], index)
}

/// The address of an endpoint; versions other than 0 are in a network of their own.
pub(crate) fn endpoint(number: usize, version: usize) -> IpAddr {
    match version {
        0 => address([10, 128], number),
        version => address([10, 64], (number + version) % 1_000_000),
    }
}

/// The host of that number, counted from a.b.0.1.
fn address([first, second]: [u8; 2], host: usize) -> IpAddr {
    let base = u32::from_be_bytes([first, second, 0, 1]);
    let host = u32::try_from(host).expect("a cluster is not that large");
    Ipv4Addr::from(base + host).into()
}

fn nft(script: &str) -> Duration {
    let started = Instant::now();
    nft::load(script);
    started.elapsed()
}
