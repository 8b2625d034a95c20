use std::ops::RangeInclusive;

use crate::{Facts, Finding};

/// The API server's default for --service-node-port-range.
const NODE_PORTS: RangeInclusive<u16> = 30000..=32767;

const RANGE: &str = "net/ipv4/ip_local_port_range";
const RESERVED: &str = "net/ipv4/ip_local_reserved_ports";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let listeners = match &facts.listeners {
        Ok(listeners) => listeners,
        Err(error) => {
            return vec![Finding::warning(
                "ports",
                format!("sockets cannot be listed: {error}"),
                "ports in use cannot be seen",
                "run as root",
            )];
        }
    };
    let mut findings = Vec::new();
    // Those of an agent are its own.
    let wanted = facts.wanted.ports.iter().filter(|_| !facts.agent);
    for (what, port) in wanted {
        let mut listeners = listeners.iter();
        let taken = listeners.find(|it| it.tcp && it.address.port() == *port);
        if let Some(taken) = taken {
            findings.push(Finding::fault(
                "ports",
                format!(
                    "{} is in use, and fairway needs {port} for {what}",
                    taken.address
                ),
                "fairway cannot serve there",
                format!("find out who it is: ss -ltnp 'sport = :{port}'"),
            ));
        }
    }
    for listener in listeners {
        let port = listener.address.port();
        if NODE_PORTS.contains(&port) && facts.wanted.service_proxy && !facts.agent {
            findings.push(Finding::warning(
                "node ports",
                format!("{} is in use", listener.address),
                "a Service with this node port would take its clients away",
                format!("move it out of {}-{}", NODE_PORTS.start(), NODE_PORTS.end()),
            ));
        }
    }
    findings.extend(ephemeral(facts));
    if findings.is_empty() {
        findings.push(Finding::ok("ports", "nobody has a port that fairway needs"));
    }
    findings
}

/// Connections that the node opens itself take ports from this range: their replies would go to endpoints.
fn ephemeral(facts: &Facts) -> Option<Finding> {
    let mut numbers = facts.settings.get(RANGE)?.split_whitespace();
    let first: u16 = numbers.next()?.parse().ok()?;
    let last: u16 = numbers.next()?.parse().ok()?;
    let overlaps = first <= *NODE_PORTS.end() && *NODE_PORTS.start() <= last;
    let reserved = facts.settings.get(RESERVED).map_or("", String::as_str);
    (overlaps && !covers(reserved)).then(|| {
        Finding::warning(
            "node ports",
            format!("net.ipv4.ip_local_port_range is {first}-{last}, which holds node ports"),
            "a connection of this node may have the number of a node port, and a listener there takes its clients away",
            format!(
                "sysctl -w net.ipv4.ip_local_reserved_ports={}-{}",
                NODE_PORTS.start(),
                NODE_PORTS.end()
            ),
        )
    })
}

/// Whether a list such as `8080,30000-32767` has all node ports.
fn covers(reserved: &str) -> bool {
    reserved.trim().split(',').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => first <= *NODE_PORTS.start() && *NODE_PORTS.end() <= last,
            _ => false,
        }
    })
}
