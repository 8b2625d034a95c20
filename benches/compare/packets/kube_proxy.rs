//! The peer: the tables that kube-proxy's nftables mode writes (1.33 and later), as text.
//!
//! Its chains and sets, their hooks, and the rules in them, as far as packets meet them: a verdict map leads from
//! address, protocol and port to a chain of the Service, whose one rule draws an endpoint from an anonymous map. Names
//! are shorter than its own, and there are no comments; packets see neither.

use std::fmt::Write as _;
use std::net::IpAddr;

use fairway_model::{Service, ServicePort};
use ipnet::IpNet;

use crate::nft;

/// What it is told apart from Services.
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: IpAddr,
    pub(crate) cluster_cidr: IpNet,
    pub(crate) service_cidr: IpNet,
}

/// Writes the table to the network namespace that this runs in.
pub(crate) fn program(node: &Node<'_>, services: impl Iterator<Item = Service>) {
    let mut script = base(node);
    for service in services {
        for port in &service.ports {
            add(&mut script, node, &service, port);
        }
    }
    nft::load(&script);
}

/// What is there whatever the cluster looks like.
fn base(node: &Node<'_>) -> String {
    let Node {
        address,
        cluster_cidr,
        service_cidr,
        ..
    } = node;
    let by_address = "type ipv4_addr . inet_proto . inet_service : verdict";
    let by_port = "type inet_proto . inet_service : verdict";
    let of_frontend = "ip daddr . meta l4proto . th dport";
    format!(
        "table ip kube-proxy {{
    set cluster-ips {{ type ipv4_addr; }}
    set nodeport-ips {{ type ipv4_addr; elements = {{ {address} }}; }}
    set hairpin-connections {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; }}
    map no-endpoint-services {{ {by_address}; }}
    map no-endpoint-nodeports {{ {by_port}; }}
    map firewall-ips {{ {by_address}; }}
    map service-ips {{ {by_address}; }}
    map service-nodeports {{ {by_port}; }}

    chain mark-for-masquerade {{ meta mark set meta mark | 0x4000; }}
    chain reject-chain {{ reject; }}
    chain firewall-check {{ {of_frontend} vmap @firewall-ips; }}
    chain service-endpoints-check {{ {of_frontend} vmap @no-endpoint-services; }}
    chain nodeport-endpoints-check {{
        ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports;
    }}
    chain cluster-ips-check {{
        ip daddr @cluster-ips reject;
        ip daddr {service_cidr} drop;
    }}
    chain services {{
        ip daddr @cluster-ips ip saddr != {cluster_cidr} jump mark-for-masquerade;
        {of_frontend} vmap @service-ips;
        ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports;
    }}
    chain masquerading {{
        ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections jump mark-for-masquerade;
        meta mark & 0x4000 == 0 return;
        meta mark set meta mark ^ 0x4000;
        masquerade fully-random;
    }}

    chain filter-prerouting-pre-dnat {{
        type filter hook prerouting priority -110;
        ct state new jump firewall-check;
    }}
    chain filter-output-pre-dnat {{
        type filter hook output priority -110;
        ct state new jump firewall-check;
    }}
    chain filter-input {{
        type filter hook input priority 0;
        ct state new jump nodeport-endpoints-check;
        ct state new jump service-endpoints-check;
    }}
    chain filter-forward {{
        type filter hook forward priority 0;
        ct state new jump service-endpoints-check;
        ct state new jump cluster-ips-check;
    }}
    chain filter-output {{
        type filter hook output priority 0;
        ct state new jump service-endpoints-check;
        ct state new jump cluster-ips-check;
    }}
    chain nat-prerouting {{ type nat hook prerouting priority -100; jump services; }}
    chain nat-output {{ type nat hook output priority -100; jump services; }}
    chain nat-postrouting {{ type nat hook postrouting priority 100; jump masquerading; }}
}}
"
    )
}

/// A port of a Service.
fn add(script: &mut String, node: &Node<'_>, service: &Service, port: &ServicePort) {
    let (protocol, number) = (port.protocol, port.port);
    let name = format!("{}-{protocol}-{number}", service.name.name);
    let count = port.endpoints.len();
    // Writing to a String does not fail.
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _ = writeln!(script, "{line}");
    };
    line(format_args!("add chain ip kube-proxy service-{name}"));
    let endpoints = port.endpoints.iter().enumerate();
    let slots: Vec<_> = endpoints
        .map(|(slot, it)| format!("{slot} : {} . {}", it.address, it.port))
        .collect();
    line(format_args!(
        "add rule ip kube-proxy service-{name} meta l4proto {protocol} dnat ip addr . port to \
         numgen random mod {count} map {{ {} }}",
        slots.join(", ")
    ));
    for address in &service.cluster_ips {
        line(format_args!(
            "add element ip kube-proxy cluster-ips {{ {address} }}"
        ));
        line(format_args!(
            "add element ip kube-proxy service-ips {{ {address} . {protocol} . {number} : goto service-{name} }}"
        ));
    }
    if let Some(node_port) = port.node_port {
        line(format_args!("add chain ip kube-proxy external-{name}"));
        line(format_args!(
            "add rule ip kube-proxy external-{name} jump mark-for-masquerade"
        ));
        line(format_args!(
            "add rule ip kube-proxy external-{name} goto service-{name}"
        ));
        line(format_args!(
            "add element ip kube-proxy service-nodeports {{ {protocol} . {node_port} : goto external-{name} }}"
        ));
    }
    let local = port.endpoints.iter();
    let local = local.filter(|it| it.node.as_deref() == Some(node.name));
    for endpoint in local {
        let (address, number) = (endpoint.address, endpoint.port);
        line(format_args!(
            "add element ip kube-proxy hairpin-connections {{ {address} . {address} . {protocol} . {number} }}"
        ));
    }
}
