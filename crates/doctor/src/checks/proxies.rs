use crate::{Facts, Finding, LeftOver};

/// kube-proxy's own servers.
const SERVERS: [u16; 2] = [10249, 10256];

/// More say no more.
const MOST: usize = 3;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let listens = |port: u16| {
        let mut listeners = facts.listeners.iter().flatten();
        listeners.any(|it| it.tcp && it.address.port() == port)
    };
    let servers: Vec<_> = SERVERS.into_iter().filter(|port| listens(*port)).collect();
    if !facts.proxies.is_empty() {
        findings.push(Finding::fault(
            "service proxies",
            format!("{} runs on this node", facts.proxies.join(" and ")),
            "two service proxies translate the same packets: the first one wins, and the other's policies are void",
            "take it off this node (for kube-proxy: the DaemonSet's nodeSelector), then run `fairway cleanup --kube-proxy`",
        ));
    } else if !facts.agent && !servers.is_empty() {
        let ports: Vec<_> = servers.iter().map(ToString::to_string).collect();
        findings.push(Finding::warning(
            "service proxies",
            format!(
                "somebody listens on kube-proxy's port {}",
                ports.join(" and ")
            ),
            "kube-proxy may run here, and fairway could not serve health and metrics there",
            "find out who it is: ss -ltnp",
        ));
    } else {
        findings.push(Finding::ok("service proxies", "no other one is seen"));
    }
    match facts.left_over.as_slice() {
        [] => findings.push(Finding::ok("kube-proxy", "left nothing")),
        left => {
            let names = left
                .iter()
                .take(MOST)
                .map(|LeftOver { what }| what.as_str());
            let mut found = names.collect::<Vec<_>>().join(", ");
            if left.len() > MOST {
                found.push_str(&format!(" and {} more", left.len() - MOST));
            }
            findings.push(Finding::warning(
                "kube-proxy",
                format!("there is {found}"),
                "its rules go on translating to endpoints of the day it ended",
                "when kube-proxy no longer runs here: fairway cleanup --kube-proxy",
            ));
        }
    }
    findings
}
