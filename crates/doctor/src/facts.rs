//! What a node looks like.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What a node looks like. What could not be found out is absent, or an error for people.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The kernel.
    pub kernel: Kernel,
    /// Settings below `/proc/sys`, by path; those that the kernel has.
    pub settings: BTreeMap<String, String>,
    /// Whether settings can be written.
    pub settings_writable: bool,
    /// Base chains and other chains of nf_tables that are not fairway's.
    pub chains: Result<Vec<BaseChain>, String>,
    /// Tables of the old iptables, which nf_tables does not show.
    pub legacy_tables: Vec<String>,
    /// What kube-proxy left.
    pub left_over: Vec<LeftOver>,
    /// Other service proxies, as far as they can be seen.
    pub proxies: Vec<String>,
    /// Network interfaces.
    pub interfaces: Result<Vec<Interface>, String>,
    /// Sockets that wait for clients.
    pub listeners: Result<Vec<Listener>, String>,
    /// Whether a fairway runs in this network namespace.
    pub agent: bool,
    /// What a fairway with this configuration would use.
    pub wanted: Wanted,
    /// What flannel wrote for the pod network; absent without flannel.
    pub flannel: Option<Flannel>,
    /// The API server, where one was named.
    pub api: Option<Result<Api, String>>,
}

/// The kernel.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// Its release, for example `6.1.0-18-amd64`.
    pub release: String,
    /// What fairway needs of it, tried.
    pub features: Vec<Feature>,
    /// Why the kernel was only asked to check the tables of the trials, where it made none.
    pub rehearsed: Option<String>,
    /// What of it could not be tried.
    pub untried: Option<String>,
}

/// Something that the kernel can do, or not.
#[derive(Clone, Debug)]
pub struct Feature {
    /// What.
    pub name: &'static str,
    /// Who needs it.
    pub for_what: &'static str,
    /// Without it nothing works.
    pub required: bool,
    /// Why not.
    pub error: Option<String>,
}

/// A chain of nf_tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// For example `ip`.
    pub family: String,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where it is attached; absent for chains that are jumped to.
    pub hook: Option<String>,
    /// `filter`, `nat` or `route`; empty for chains that are jumped to.
    pub kind: String,
    /// Lower ones run first.
    pub priority: i32,
    /// What its rules do not accept is dropped.
    pub drops: bool,
}

/// Something that kube-proxy left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOver {
    /// For example `chain KUBE-SERVICES of table ip nat`.
    pub what: String,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// For example `vxlan` or `bridge`; absent for hardware.
    pub kind: Option<String>,
    /// The name of the interface below a tunnel.
    pub lower: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// A socket that waits for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// TCP, else UDP.
    pub tcp: bool,
}

/// What a fairway would use.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Whether Services are programmed.
    pub service_proxy: bool,
    /// TCP ports with what listens there.
    pub ports: Vec<(String, u16)>,
    /// Whether flow tables are.
    pub flow_table: bool,
}

/// What flannel wrote for the pod network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flannel {
    /// What pods' interfaces are to have.
    pub mtu: Option<u32>,
    /// The whole file's settings.
    pub settings: BTreeMap<String, String>,
}

/// An API server that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// Its version.
    pub version: String,
    /// How many seconds this node's clock is ahead of its.
    pub ahead: Option<i64>,
    /// What fairway needs of it and may not do.
    pub forbidden: Vec<Forbidden>,
    /// What fairway needs of it and it does not have.
    pub absent: Vec<Absent>,
    /// Our name, if there is no Node of it.
    pub unknown_node: Option<String>,
}

/// A kind that the API server does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Plural and group, for example `servicecidrs.networking.k8s.io`.
    pub kind: String,
    /// What does not work without, as the rest of a sentence.
    pub without: &'static str,
    /// Everything else works.
    pub optional: bool,
}

/// What RBAC does not let us do, in its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// Empty for the core group.
    pub group: String,
    /// Plural and lower-case, with the subresource.
    pub resource: String,
    /// What was denied.
    pub denied: Vec<&'static str>,
    /// What it takes.
    pub verbs: &'static [&'static str],
    /// What does not work without, as the rest of a sentence.
    pub without: &'static str,
    /// Everything else works.
    pub optional: bool,
}

impl Default for Facts {
    /// Of a node of which nothing is known, and nothing bad.
    fn default() -> Self {
        Self {
            kernel: Kernel::default(),
            settings: BTreeMap::new(),
            settings_writable: true,
            chains: Ok(Vec::new()),
            legacy_tables: Vec::new(),
            left_over: Vec::new(),
            proxies: Vec::new(),
            interfaces: Ok(Vec::new()),
            listeners: Ok(Vec::new()),
            agent: false,
            wanted: Wanted::default(),
            flannel: None,
            api: None,
        }
    }
}

impl Facts {
    /// A setting as a number.
    pub(crate) fn number(&self, path: &str) -> Option<i64> {
        self.settings.get(path)?.trim().parse().ok()
    }

    /// Chains that could be listed.
    pub(crate) fn chains(&self) -> &[BaseChain] {
        self.chains.as_deref().unwrap_or_default()
    }

    /// Interfaces that could be listed.
    pub(crate) fn interfaces(&self) -> &[Interface] {
        self.interfaces.as_deref().unwrap_or_default()
    }
}
