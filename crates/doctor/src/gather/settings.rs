//! Settings below `/proc/sys`. Those of the network are the network namespace's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustix::fs::{Access, access};

const SETTINGS: [&str; 7] = [
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_count",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_local_reserved_ports",
];

/// Settings of each interface.
const INTERFACES: &str = "net/ipv4/conf";
const OF_INTERFACES: [&str; 2] = ["rp_filter", "route_localnet"];

/// Settings by path; those that there are.
pub(super) fn read(root: &Path) -> BTreeMap<String, String> {
    let mut paths: Vec<String> = SETTINGS.iter().map(|path| (*path).to_owned()).collect();
    let interfaces = fs::read_dir(root.join(INTERFACES))
        .into_iter()
        .flatten()
        .flatten();
    for interface in interfaces {
        let name = interface.file_name();
        let name = name.to_string_lossy();
        paths.extend(OF_INTERFACES.map(|setting| format!("{INTERFACES}/{name}/{setting}")));
    }
    paths
        .into_iter()
        .filter_map(|path| {
            let value = fs::read_to_string(root.join(&path)).ok()?;
            Some((path, value.trim().to_owned()))
        })
        .collect()
}

/// Whether settings can be written; a container's `/proc/sys` is usually mounted read-only.
pub(super) fn are_writable(root: &Path) -> bool {
    access(root.join("net/ipv4/ip_forward"), Access::WRITE_OK).is_ok()
}
