use crate::{Facts, Finding};

/// Connections that a node should be able to hold: kube-proxy's minimum is twice that.
const FEW_CONNECTIONS: i64 = 65_536;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(forwarding(facts));
    findings.extend(reverse_path(facts));
    findings.extend(localnet(facts));
    findings.extend(conntrack(facts));
    if !facts.settings_writable {
        findings.push(Finding::warning(
            "settings",
            "/proc/sys cannot be written",
            "fairway cannot raise conntrack's limits as kube-proxy does",
            "run `fairway run --init-only` in a privileged init container, or set them on the node",
        ));
    }
    findings
}

fn forwarding(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    match facts.number("net/ipv4/ip_forward") {
        Some(0) => findings.push(Finding::fault(
            "forwarding",
            "net.ipv4.ip_forward is 0",
            "nothing but this node itself reaches pods through Services",
            "sysctl -w net.ipv4.ip_forward=1, and in /etc/sysctl.d for the next start",
        )),
        Some(_) => findings.push(Finding::ok("forwarding", "this node forwards IPv4")),
        None => {}
    }
    let has_ip6 = facts.interfaces().iter().any(|interface| {
        (interface.addresses.iter()).any(|it| matches!(it, std::net::IpAddr::V6(it) if !it.is_loopback() && !it.is_unicast_link_local()))
    });
    if facts.number("net/ipv6/conf/all/forwarding") == Some(0) && has_ip6 {
        findings.push(Finding::warning(
            "forwarding",
            "net.ipv6.conf.all.forwarding is 0, and this node has IPv6 addresses",
            "nothing but this node itself reaches pods through Services by IPv6",
            "in a cluster with IPv6: sysctl -w net.ipv6.conf.all.forwarding=1",
        ));
    }
    findings
}

/// The stricter one of `all` and the interface counts.
fn reverse_path(facts: &Facts) -> Vec<Finding> {
    let strict: Vec<_> = facts
        .settings
        .iter()
        .filter(|(path, value)| {
            path.starts_with("net/ipv4/conf/")
                && path.ends_with("/rp_filter")
                && value.trim() == "1"
        })
        .filter_map(|(path, _)| path.split('/').nth(3))
        // Only what interfaces that are yet to come begin with.
        .filter(|name| *name != "default")
        .collect();
    if strict.is_empty() {
        return vec![Finding::ok(
            "reverse path",
            "no interface drops what comes by another way",
        )];
    }
    vec![Finding::warning(
        "reverse path",
        format!(
            "net.ipv4.conf.*.rp_filter is 1 (strict) for {}",
            strict.join(", ")
        ),
        "packets are dropped whose reply would leave by another interface: node ports and tunnels with two ways fail",
        format!(
            "unless that is wanted: sysctl -w net.ipv4.conf.{}.rp_filter=2",
            strict[0]
        ),
    )]
}

fn localnet(facts: &Facts) -> Vec<Finding> {
    let open: Vec<_> = facts
        .settings
        .iter()
        .filter(|(path, value)| path.ends_with("/route_localnet") && value.trim() == "1")
        .filter_map(|(path, _)| path.split('/').nth(3))
        .collect();
    if open.is_empty() {
        return Vec::new();
    }
    vec![Finding::warning(
        "route_localnet",
        format!(
            "net.ipv4.conf.*.route_localnet is 1 for {}",
            open.join(", ")
        ),
        "neighbours on the link can reach what listens on 127.0.0.1 (CVE-2020-8558); kube-proxy sets it, fairway needs it not",
        format!(
            "when kube-proxy is gone: sysctl -w net.ipv4.conf.{}.route_localnet=0",
            open[0]
        ),
    )]
}

fn conntrack(facts: &Facts) -> Vec<Finding> {
    let max = facts.number("net/netfilter/nf_conntrack_max");
    let (Some(max), Some(count)) = (max, facts.number("net/netfilter/nf_conntrack_count")) else {
        return Vec::new();
    };
    let percent = count * 100 / max.max(1);
    let found = format!("{count} of {max} connections ({percent} %)");
    let fix = "raise net.netfilter.nf_conntrack_max (--conntrack-max-per-core, --conntrack-min)";
    vec![match percent {
        95.. => Finding::fault(
            "conntrack",
            found,
            "the table is full: new connections are dropped, and the kernel logs \"table full\"",
            fix,
        ),
        75.. => Finding::warning(
            "conntrack",
            found,
            "when it is full new connections are dropped",
            fix,
        ),
        _ if max < FEW_CONNECTIONS => Finding::warning(
            "conntrack",
            found,
            "that is little for a node: when it is full new connections are dropped",
            fix,
        ),
        _ => Finding::ok("conntrack", found),
    }]
}
