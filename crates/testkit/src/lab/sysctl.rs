//! Kernel settings of a new namespace.

use std::fs;
use std::io;

/// Whether a namespace passes on the packets of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Host,
    Router,
}

/// For every namespace. Paths are below `/proc/sys/net`.
const EVERYWHERE: &[(&str, &str)] = &[
    // Addresses are given by hand, link-local ones (mode 1, "none") too, and are usable at once.
    ("ipv6/conf/default/addr_gen_mode", "1"),
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/autoconf", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    // Hairpin traffic leaves by the device it came in on, which is no mistake here.
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv4/conf/all/accept_redirects", "0"),
    ("ipv4/conf/default/accept_redirects", "0"),
    ("ipv6/conf/all/accept_redirects", "0"),
    ("ipv6/conf/default/accept_redirects", "0"),
    // Tests are told "unreachable" more often than the kernel tells anybody on the Internet.
    ("ipv4/icmp_ratelimit", "0"),
    ("ipv6/icmp/ratelimit", "0"),
    // Loose, as on most distributions: replies may take another way.
    ("ipv4/conf/all/rp_filter", "2"),
    ("ipv4/conf/default/rp_filter", "2"),
];

const ROUTER: &[(&str, &str)] = &[
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv6/conf/default/forwarding", "1"),
];

const HOST: &[(&str, &str)] = &[
    // A load test opens more connections to one address than the default range has ports, and
    // faster than TIME_WAIT (60 s) gives them back. Below are the ports that servers use.
    ("ipv4/ip_local_port_range", "10000 65535"),
    ("ipv4/tcp_tw_reuse", "1"),
];

/// Applies to the calling thread's network namespace.
pub(super) fn prepare(role: Role) -> io::Result<()> {
    let more = match role {
        Role::Host => HOST,
        Role::Router => ROUTER,
    };
    for (setting, value) in EVERYWHERE.iter().chain(more) {
        let path = format!("/proc/sys/net/{setting}");
        fs::write(&path, value)
            .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
    }
    Ok(())
}
