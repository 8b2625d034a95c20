//! What kube-proxy leaves in netfilter when it is stopped: its chains and the rules that lead there (modes iptables and
//! ipvs), its tables (mode nftables), its sets of addresses (mode ipvs).
//!
//! The kubelet, the pod network and the operator have rules in the same tables, so kube-proxy's are known by name, and
//! one that others use stays.

pub mod address_sets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The tables of iptables that kube-proxy writes to.
pub const TABLES: [&str; 3] = ["nat", "filter", "mangle"];

/// Chains that kube-proxy has, in modes iptables and ipvs, of all versions that had nf_tables beside them.
const CHAINS: [&str; 13] = [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-POSTROUTING",
    "KUBE-MARK-MASQ",
    "KUBE-FORWARD",
    "KUBE-PROXY-FIREWALL",
    "KUBE-PROXY-CANARY",
    "KUBE-NODE-PORT",
    "KUBE-LOAD-BALANCER",
    "KUBE-SOURCE-RANGES-FIREWALL",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER",
];

/// Chains of single Services and endpoints, which end in a hash.
const PREFIXES: [&str; 6] = [
    "KUBE-SVC-",
    "KUBE-SVL-",
    "KUBE-EXT-",
    "KUBE-XLB-",
    "KUBE-FW-",
    "KUBE-SEP-",
];

/// Those of them that kube-proxy leads to from iptables' own chains. Who leads to another one from there is somebody
/// else who makes use of it.
const ENTRIES: [&str; 9] = [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-POSTROUTING",
    "KUBE-FORWARD",
    "KUBE-PROXY-FIREWALL",
    "KUBE-NODE-PORT",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER",
];

/// iptables' own chains.
const BUILT_IN: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// A chain of iptables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainName {
    /// The table it is in.
    pub table: String,
    /// Its name there.
    pub name: String,
}

impl ChainName {
    /// The chain of this name in a table.
    pub fn new(table: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            name: name.into(),
        }
    }

    fn is_kube_proxys(&self) -> bool {
        // In the table `filter` it is the kubelet's.
        let of_ipvs = self.table == "nat" && self.name == "KUBE-FIREWALL";
        TABLES.contains(&&*self.table)
            && (of_ipvs
                || CHAINS.contains(&&*self.name)
                || PREFIXES.iter().any(|prefix| self.name.starts_with(prefix)))
    }

    fn is_entry(&self) -> bool {
        ENTRIES.contains(&&*self.name)
    }

    fn is_built_in(&self) -> bool {
        BUILT_IN.contains(&&*self.name)
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.name)
    }
}

/// A rule that leads from one chain to another of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump<Rule> {
    /// The chain it stands in.
    pub from: ChainName,
    /// Where it leads, in the same table.
    pub to: String,
    /// What the rule is deleted by.
    pub rule: Rule,
}

impl<Rule> Jump<Rule> {
    fn target(&self) -> ChainName {
        ChainName::new(&*self.from.table, &*self.to)
    }
}

/// What is to be deleted, in this order: rules, then the rules of the chains, then the chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftovers<Rule> {
    /// Rules of iptables' own chains that lead to kube-proxy's.
    pub jumps: Vec<Jump<Rule>>,
    /// Chains of kube-proxy.
    pub chains: Vec<ChainName>,
    /// Chains of kube-proxy that stay, by the chain of somebody else that leads there.
    pub in_use: BTreeMap<ChainName, ChainName>,
}

impl<Rule> Leftovers<Rule> {
    /// Finds kube-proxy's among all chains, and the rules that lead somewhere.
    pub fn among(
        chains: impl IntoIterator<Item = ChainName>,
        jumps: impl IntoIterator<Item = Jump<Rule>>,
    ) -> Self {
        let theirs = chains.into_iter().filter(ChainName::is_kube_proxys);
        let mut theirs: BTreeSet<ChainName> = theirs.collect();
        let mut entries = Vec::new();
        let mut in_use = BTreeMap::new();
        let mut inner: BTreeMap<ChainName, Vec<ChainName>> = BTreeMap::new();
        for jump in jumps {
            let target = jump.target();
            if !theirs.contains(&target) {
                continue;
            }
            if theirs.contains(&jump.from) {
                inner.entry(jump.from).or_default().push(target);
            } else if jump.from.is_built_in() && target.is_entry() {
                entries.push(jump);
            } else {
                in_use.insert(target, jump.from);
            }
        }
        // What stays still leads to others.
        let mut open: Vec<ChainName> = in_use.keys().cloned().collect();
        while let Some(chain) = open.pop() {
            let user = in_use[&chain].clone();
            theirs.remove(&chain);
            for target in inner.remove(&chain).unwrap_or_default() {
                if theirs.contains(&target) && !in_use.contains_key(&target) {
                    in_use.insert(target.clone(), user.clone());
                    open.push(target);
                }
            }
        }
        Self {
            jumps: entries,
            chains: theirs.into_iter().collect(),
            in_use,
        }
    }

    /// Whether there is nothing to delete.
    pub fn is_empty(&self) -> bool {
        self.jumps.is_empty() && self.chains.is_empty()
    }
}
