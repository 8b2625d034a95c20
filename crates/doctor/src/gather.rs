//! From the node to facts.

mod features;
mod interfaces;
mod kube_proxy;
mod processes;
mod scratch;
mod settings;

use std::collections::BTreeMap;
use std::path::Path;

use fairway_model::Protocol;
use fairway_nft::leftovers::ChainName;
use fairway_nft::{ForeignChain, KubeProxy, Netlink, listening_sockets};
use fairway_plan::{Family, TABLE};

use features::Tried;
pub use kube_proxy::kube_proxy_answers;

use crate::facts::{Api, BaseChain, Facts, Flannel, Kernel, LeftOver, Listener, Wanted};

/// Where flannel tells CNI plugins about the pod network.
const SUBNET: &str = "/run/flannel/subnet.env";

/// kube-proxy's interface in its mode ipvs.
const INTERFACE_OF_KUBE_PROXY: &str = "kube-ipvs0";

/// Looks at this node. `agent` tells whether a fairway runs here, `api` what became of asking the API server.
pub fn gather(wanted: Wanted, agent: bool, api: Option<Result<Api, String>>) -> Facts {
    let interfaces = interfaces::list();
    let tried = match wanted.service_proxy {
        true => features::try_all(wanted.flow_table),
        false => Tried::default(),
    };
    let chains = chains();
    let left_over = left_over(&interfaces);
    Facts {
        kernel: Kernel {
            release: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            features: tried.features,
            rehearsed: tried.rehearsed,
            untried: tried.untried,
        },
        settings: settings::read(Path::new("/proc/sys")),
        settings_writable: settings::are_writable(Path::new("/proc/sys")),
        chains: chains.map(|chains| chains.into_iter().filter(|it| it.table != TABLE).collect()),
        legacy_tables: legacy_tables(),
        left_over,
        proxies: proxies(),
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

/// By their processes, and kube-proxy by its port as well.
fn proxies() -> Vec<String> {
    let mut found = processes::proxies(Path::new("/proc"));
    if found.iter().all(|name| name != "kube-proxy") && kube_proxy_answers() {
        found.push("kube-proxy".to_owned());
    }
    found
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

/// What `fairway cleanup --kube-proxy` would find, and its interface.
fn left_over(interfaces: &Result<Vec<crate::Interface>, String>) -> Vec<LeftOver> {
    let mut found = Vec::new();
    for family in Family::ALL {
        let left = Netlink::open().and_then(|mut netlink| netlink.kube_proxy(family));
        // Who may not look is told so where other tables are.
        let Ok(KubeProxy { has_table, chains }) = left else {
            continue;
        };
        found.extend(has_table.then(|| format!("table {family} kube-proxy")));
        let chains = chains.chains.iter().chain(chains.in_use.keys());
        found.extend(chains.map(|chain| {
            let ChainName { table, name } = chain;
            format!("chain {name} of table {family} {table}")
        }));
    }
    let mut interfaces = interfaces.iter().flatten();
    let interface = interfaces.find(|it| it.name == INTERFACE_OF_KUBE_PROXY);
    found.extend(interface.map(|it| format!("interface {}", it.name)));
    found.into_iter().map(|what| LeftOver { what }).collect()
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
