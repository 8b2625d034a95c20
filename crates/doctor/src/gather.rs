//! From the node to facts.

mod features;
mod interfaces;
mod processes;
mod scratch;
mod settings;

use std::collections::BTreeMap;
use std::path::Path;

use fairway_model::Protocol;
use fairway_nft::{ForeignChain, Netlink, listening_sockets};
use fairway_plan::TABLE;

use crate::facts::{Api, BaseChain, Facts, Flannel, Kernel, LeftOver, Listener, Wanted};

/// Where flannel tells CNI plugins about the pod network.
const SUBNET: &str = "/run/flannel/subnet.env";

/// kube-proxy's table in its mode nftables, its interface in its mode ipvs, and what its chains are called.
const TABLE_OF_KUBE_PROXY: &str = "kube-proxy";
const INTERFACE_OF_KUBE_PROXY: &str = "kube-ipvs0";
const CHAINS_OF_KUBE_PROXY: &str = "KUBE-";

/// Chains of the kubelet, which are not kube-proxy's.
const OF_KUBELET: [&str; 3] = ["KUBE-FIREWALL", "KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT"];

/// Looks at this node. `agent` tells whether a fairway runs here, `api` what became of asking the API server.
pub fn gather(wanted: Wanted, agent: bool, api: Option<Result<Api, String>>) -> Facts {
    let interfaces = interfaces::list();
    let chains = chains();
    let left_over = left_over(&chains, &interfaces);
    Facts {
        kernel: Kernel {
            release: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            features: match wanted.service_proxy {
                true => features::try_all(wanted.flow_table),
                false => Vec::new(),
            },
        },
        settings: settings::read(Path::new("/proc/sys")),
        settings_writable: settings::are_writable(Path::new("/proc/sys")),
        chains: chains.map(|chains| chains.into_iter().filter(|it| it.table != TABLE).collect()),
        legacy_tables: legacy_tables(),
        left_over,
        proxies: processes::proxies(Path::new("/proc")),
        interfaces,
        listeners: listeners(),
        agent,
        wanted,
        flannel: std::fs::read_to_string(SUBNET)
            .ok()
            .map(|text| flannel(&text)),
        api,
    }
}

fn chains() -> Result<Vec<BaseChain>, String> {
    let chains = Netlink::open().and_then(|mut netlink| netlink.all_chains());
    let chains = chains.map_err(|error| error.to_string())?;
    Ok(chains.into_iter().map(base_chain).collect())
}

fn base_chain(chain: ForeignChain) -> BaseChain {
    BaseChain {
        family: chain.family.to_owned(),
        table: chain.table,
        name: chain.name,
        hook: chain.hook.map(str::to_owned),
        kind: chain.kind,
        priority: chain.priority,
        drops: chain.drops,
    }
}

fn left_over(
    chains: &Result<Vec<BaseChain>, String>,
    interfaces: &Result<Vec<crate::Interface>, String>,
) -> Vec<LeftOver> {
    let mut found = BTreeMap::new();
    for chain in chains.iter().flatten() {
        let BaseChain {
            family,
            table,
            name,
            ..
        } = chain;
        if table == TABLE_OF_KUBE_PROXY {
            found.insert(
                (family.clone(), table.clone()),
                format!("table {family} {table}"),
            );
        } else if name.starts_with(CHAINS_OF_KUBE_PROXY) && !OF_KUBELET.contains(&name.as_str()) {
            let what = format!("chain {name} of table {family} {table}");
            found.insert((family.clone(), format!("{table} {name}")), what);
        }
    }
    let interface = interfaces
        .iter()
        .flatten()
        .find(|it| it.name == INTERFACE_OF_KUBE_PROXY);
    let interface = interface.map(|it| format!("interface {}", it.name));
    found
        .into_values()
        .chain(interface)
        .map(|what| LeftOver { what })
        .collect()
}

/// Each line names a table of the old iptables that has been used since the kernel started.
fn legacy_tables() -> Vec<String> {
    let files = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];
    let texts = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    let mut names: Vec<_> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn listeners() -> Result<Vec<Listener>, String> {
    let sockets = listening_sockets().map_err(|error| error.to_string())?;
    Ok(sockets
        .into_iter()
        .map(|socket| Listener {
            address: socket.address,
            tcp: socket.protocol == Protocol::Tcp,
        })
        .collect())
}

/// Lines like `FLANNEL_MTU=1450`.
fn flannel(text: &str) -> Flannel {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let settings: BTreeMap<_, _> = pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let mtu = settings.get("FLANNEL_MTU").and_then(|mtu| mtu.parse().ok());
    Flannel { mtu, settings }
}
