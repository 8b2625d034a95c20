use crate::{BaseChain, Facts, Finding};

/// Priority of fairway's translation.
const DSTNAT: i32 = -100;

/// Chains that pod networks add to accept their traffic where the policy is to drop.
const ACCEPTING: [&str; 4] = [
    "FLANNEL-FWD",
    "CNI-FORWARD",
    "cali-FORWARD",
    "CILIUM_FORWARD",
];

/// The same of kube-proxy, which goes with it.
const OF_KUBE_PROXY: &str = "KUBE-FORWARD";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let chains = match &facts.chains {
        Ok(chains) => chains,
        Err(error) => {
            return vec![Finding::warning(
                "other tables",
                format!("nf_tables cannot be listed: {error}"),
                "firewalls and other proxies cannot be seen",
                "run as root on the node's network (hostNetwork)",
            )];
        }
    };
    let (mut findings, mut harmless) = (Vec::new(), Vec::new());
    for chain in chains {
        match policy(facts, chain).or_else(|| before_us(chain)) {
            Some(finding) => findings.push(finding),
            None if chain.hook.is_some() => harmless.push(line(chain)),
            None => {}
        }
    }
    if !harmless.is_empty() {
        let found = format!("base chains of others do no harm: {}", harmless.join("; "));
        findings.push(Finding::ok("other tables", found));
    } else if findings.is_empty() {
        let found = "nobody else has base chains";
        findings.push(Finding::ok("other tables", found));
    }
    if !facts.legacy_tables.is_empty() {
        findings.push(Finding::warning(
            "other tables",
            format!(
                "the old iptables has tables: {}",
                facts.legacy_tables.join(", ")
            ),
            "their rules cannot be seen here, and work beside those of nf_tables",
            "look at iptables-legacy-save; what still writes there should use iptables-nft",
        ));
    }
    findings
}

fn policy(facts: &Facts, chain: &BaseChain) -> Option<Finding> {
    let hook = chain.hook.as_deref().filter(|_| chain.drops)?;
    let found = format!("{} drops what it does not accept", line(chain));
    match hook {
        "forward" => {
            let beside = |name: &str| {
                let mut others = facts.chains().iter();
                others.any(|it| {
                    (&it.family, &it.table) == (&chain.family, &chain.table) && it.name == name
                })
            };
            let why = "packets to and from pods pass it";
            if ACCEPTING.iter().any(|name| beside(name)) {
                return Some(Finding::warning(
                    "forward policy",
                    found,
                    "the pod network's own chain there accepts pods; anything it leaves out is dropped",
                    "if pods are unreachable: iptables -P FORWARD ACCEPT, or accept the pod network there",
                ));
            }
            let fix = match beside(OF_KUBE_PROXY) {
                true => "accept the pod network there before kube-proxy's chain KUBE-FORWARD goes",
                false => "iptables -P FORWARD ACCEPT, or accept the pod network there",
            };
            Some(Finding::fault("forward policy", found, why, fix))
        }
        "input" | "output" => Some(Finding::warning(
            "firewall",
            found,
            "it has to accept the router's ports and /healthz, and node ports of pods on the host's network",
            "accept them there; `fairway doctor` says which ports are used",
        )),
        _ => None,
    }
}

fn before_us(chain: &BaseChain) -> Option<Finding> {
    let hook = chain.hook.as_deref()?;
    let translates = chain.kind == "nat" && matches!(hook, "prerouting" | "output");
    (translates && chain.priority < DSTNAT).then(|| {
        Finding::warning(
            "other tables",
            format!("{} translates before fairway does", line(chain)),
            "what it translates never gets to Services",
            "make sure that it leaves Service addresses and node ports alone",
        )
    })
}

fn line(chain: &BaseChain) -> String {
    let BaseChain {
        family,
        table,
        name,
        hook,
        kind,
        priority,
        ..
    } = chain;
    let hook = hook.as_deref().unwrap_or_default();
    format!("{family} {table} {name} ({kind} {hook} {priority})")
}
