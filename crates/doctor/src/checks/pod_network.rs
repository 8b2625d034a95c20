use super::kernel::version;
use crate::{Facts, Finding, Interface};

/// What VXLAN adds to a packet: Ethernet 14, IPv4 20, UDP 8, VXLAN 8.
const VXLAN: u32 = 50;

/// The first kernel that computes the checksum of a masqueraded packet right before it is tunnelled.
const CHECKSUMS: (u32, u32) = (5, 7);

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let interfaces = match &facts.interfaces {
        Ok(interfaces) => interfaces,
        Err(error) => {
            return vec![Finding::warning(
                "pod network",
                format!("interfaces cannot be listed: {error}"),
                "MTUs cannot be checked",
                "run as root",
            )];
        }
    };
    let find = |name: &str| interfaces.iter().find(|it| it.name == name);
    let tunnels = interfaces
        .iter()
        .filter(|it| it.kind.as_deref() == Some("vxlan"));
    let mut findings = Vec::new();
    for tunnel in tunnels {
        let lower = tunnel.lower.as_deref().and_then(find);
        findings.extend(lower.and_then(|lower| too_large(tunnel, lower)));
        let pods = find("cni0").filter(|pods| pods.mtu > tunnel.mtu);
        findings.extend(pods.map(|pods| {
            Finding::fault(
                "pod network",
                format!(
                    "{} has MTU {}, {} only {}",
                    pods.name, pods.mtu, tunnel.name, tunnel.mtu
                ),
                "large packets of pods to other nodes are lost: connections open and then hang",
                "set the MTU in the CNI configuration, and start pods anew",
            )
        }));
        if version(&facts.kernel.release).is_some_and(|version| version < CHECKSUMS) {
            findings.push(Finding::warning(
                "pod network",
                format!("kernel {} with {}", facts.kernel.release, tunnel.name),
                "it gives masqueraded packets in a tunnel wrong checksums: node ports to pods of other nodes take a minute",
                format!("ethtool -K {} tx-checksum-ip-generic off", tunnel.name),
            ));
        }
    }
    if let (Some(flannel), Some(pods)) = (&facts.flannel, find("cni0"))
        && let Some(mtu) = flannel.mtu.filter(|mtu| *mtu != pods.mtu)
    {
        findings.push(Finding::warning(
            "pod network",
            format!("cni0 has MTU {}, flannel says {mtu}", pods.mtu),
            "pods that started before flannel changed have another MTU than the network",
            "start the pods of this node anew",
        ));
    }
    if findings.is_empty() {
        let tunnel = interfaces
            .iter()
            .find(|it| it.kind.as_deref() == Some("vxlan"));
        findings.push(Finding::ok(
            "pod network",
            match (tunnel, &facts.flannel) {
                (Some(tunnel), Some(_)) => {
                    format!("flannel with VXLAN ({}, MTU {})", tunnel.name, tunnel.mtu)
                }
                (Some(tunnel), None) => format!("VXLAN ({}, MTU {})", tunnel.name, tunnel.mtu),
                (None, Some(_)) => "flannel without a tunnel (host-gw)".to_owned(),
                (None, None) => "no tunnel is seen".to_owned(),
            },
        ));
    }
    findings
}

fn too_large(tunnel: &Interface, lower: &Interface) -> Option<Finding> {
    let largest = lower.mtu.saturating_sub(VXLAN);
    (tunnel.mtu > largest).then(|| {
        Finding::fault(
            "pod network",
            format!(
                "{} has MTU {}, and {} below it {}: it should be {largest} at most",
                tunnel.name, tunnel.mtu, lower.name, lower.mtu
            ),
            "large packets between nodes are lost: connections open and then hang",
            format!(
                "ip link set {} mtu {largest}, and start flannel anew",
                tunnel.name
            ),
        )
    })
}
