//! What the kernel does of what fairway asks: tried for real, with the tables that fairway would program.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use fairway_model::{
    Affinity, Balance, Endpoint, Node, ObjectName, Port, Protocol, Service, ServiceKind,
    ServicePort, Snapshot, TrafficPolicy,
};
use fairway_nft::{Dataplane, FlowTable, Netlink, Report};
use fairway_plan::{Change, Family, Observed, Options, Planner, Transaction};

use super::scratch::in_scratch_namespace;
use crate::facts::Feature;

/// A Service that needs something of the kernel.
struct Trial {
    name: &'static str,
    for_what: &'static str,
    service: Service,
    options: Options,
}

/// What came of the trials.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) features: Vec<Feature>,
    /// Why the kernel was only asked to check what it would be given.
    pub(super) rehearsed: Option<String>,
    /// What could not be tried.
    pub(super) untried: Option<String>,
}

/// Tries everything, each in tables of its own.
pub(super) fn try_all(flow_table: bool) -> Tried {
    let tried = in_scratch_namespace(|| {
        let mut features = attempt_all(program);
        features.push(Feature {
            name: "flow tables",
            for_what: "fast path (--flow-table-interfaces)",
            required: flow_table,
            error: try_flow_table().err(),
        });
        features
    });
    match tried {
        Ok(features) => Tried {
            features,
            ..Tried::default()
        },
        // The agent's own container may program tables, but make no namespaces.
        Err(why) => Tried {
            features: attempt_all(rehearse),
            rehearsed: Some(why),
            untried: flow_table.then(|| "flow tables".to_owned()),
        },
    }
}

fn trials() -> Vec<Trial> {
    let plain = Service {
        kind: ServiceKind::LoadBalancer,
        cluster_ips: vec![[10, 96, 0, 1].into(), ip6(0x96, 1)],
        load_balancer_ips: vec![[203, 0, 113, 1].into(), ip6(0x113, 1)],
        external_policy: TrafficPolicy::Local,
        ports: vec![port(80, 30080, 3), port(81, 30081, 20), port(82, 30082, 0)],
        ..Service::new(ObjectName::new("doctor", "trial"))
    };
    let trial = |name, for_what, service| Trial {
        name,
        for_what,
        service,
        options: Options::default(),
    };
    vec![
        trial("maps and translation", "Service at all", plain.clone()),
        trial(
            "intervals",
            "Service with source ranges",
            Service {
                source_ranges: ["198.51.100.0/24", "fd00:51::/32"]
                    .iter()
                    .filter_map(|range| range.parse().ok())
                    .collect(),
                ..plain.clone()
            },
        ),
        trial(
            "hashes",
            "Service with fairway.dev/balance",
            Service {
                balance: Balance::Maglev,
                ..plain.clone()
            },
        ),
        trial(
            "maps filled by packets",
            "sessionAffinity",
            Service {
                affinity: Affinity::ClientIp {
                    timeout_seconds: 10,
                },
                ..plain.clone()
            },
        ),
        Trial {
            name: "counters",
            for_what: "--count-connections",
            service: plain,
            options: Options {
                count_connections: true,
                ..Options::default()
            },
        },
    ]
}

fn port(number: u16, node_port: u16, endpoints: u8) -> ServicePort {
    let port = |number| Port::new(number).unwrap_or(Port::MIN);
    let endpoint = |address: IpAddr| Endpoint {
        node: Some("doctor".into()),
        ..Endpoint::ready(address, port(8080))
    };
    let mut all: Vec<_> = (1..=endpoints)
        .map(|host| endpoint([10, 244, 0, host].into()))
        .collect();
    all.extend((1..=endpoints).map(|host| endpoint(ip6(0x244, host.into()))));
    ServicePort {
        name: number.to_string().into(),
        node_port: Some(port(node_port)),
        endpoints: all.into(),
        ..ServicePort::new(Protocol::Tcp, port(number))
    }
}

fn ip6(network: u16, host: u16) -> IpAddr {
    [0xfd00, network, 0, 0, 0, 0, 0, host].into()
}

/// How to try a transaction: `Err` says what the kernel has against it.
type Try = fn(&Planner, &Transaction) -> Result<(), String>;

fn attempt_all(how: Try) -> Vec<Feature> {
    let trials = trials();
    let features = trials.iter().map(|trial| Feature {
        name: trial.name,
        for_what: trial.for_what,
        required: true,
        error: attempt(trial, how).err(),
    });
    features.collect()
}

fn attempt(trial: &Trial, how: Try) -> Result<(), String> {
    let mut snapshot = Snapshot {
        node: Arc::new(Node {
            name: "doctor".into(),
            ..Node::default()
        }),
        ..Snapshot::default()
    };
    let service = Arc::new(trial.service.clone());
    snapshot.services.insert_mut(service.name.clone(), service);
    let nothing = Observed::default();
    let (planner, transactions) =
        Planner::start(trial.options.clone(), &snapshot, [&nothing, &nothing]);
    let mut transactions = transactions.iter().filter(|it| has(it.family));
    transactions.try_for_each(|transaction| how(&planner, transaction))
}

/// Programs the Service as the agent would, reads it back, and removes it: nobody else may be here.
fn program(planner: &Planner, transaction: &Transaction) -> Result<(), String> {
    let mut netlink = Netlink::open().map_err(|error| error.to_string())?;
    let family = transaction.family;
    let report = netlink.commit(transaction);
    all_taken(&report.map_err(|error| error.to_string())?)?;
    let observed = netlink.read(family).map_err(|error| error.to_string())?;
    if !planner.repair(family, &observed).is_empty() {
        return Err("the kernel holds something else than was written".to_owned());
    }
    let mut remove = Transaction::new(family);
    remove.make.push(Change::DestroyTable);
    netlink.commit(&remove).map_err(|error| error.to_string())?;
    Ok(())
}

/// Lets the kernel check it beside what is there, of which nothing changes.
fn rehearse(_planner: &Planner, transaction: &Transaction) -> Result<(), String> {
    let mut netlink = Netlink::open().map_err(|error| error.to_string())?;
    let mut transaction = transaction.clone();
    let ours = netlink.held(transaction.family, &[]);
    if ours.map_err(|error| error.to_string())?.is_some() {
        transaction.make.insert(0, Change::DestroyTable);
    }
    let report = netlink.rehearse(&transaction);
    all_taken(&report.map_err(|error| error.to_string())?)
}

fn all_taken(report: &Report) -> Result<(), String> {
    match report.refused.first() {
        None => Ok(()),
        Some(refused) => Err(format!(
            "the kernel refuses an element of {}",
            refused.element.set
        )),
    }
}

fn has(family: Family) -> bool {
    family == Family::Ip4 || Path::new("/proc/net/if_inet6").exists()
}

fn try_flow_table() -> Result<(), String> {
    let table = FlowTable::open().and_then(|mut table| table.replace(&["lo".to_owned()]));
    table.map_err(|error| error.to_string())
}
