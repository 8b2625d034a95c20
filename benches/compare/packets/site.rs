//! A node with two pods, and one of the tables between them.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;

use fairway_model::{Node, Snapshot};
use fairway_nft::{Dataplane, Netlink};
use fairway_plan::{LocalPods, Observed, Options, Planner};
use fairway_testkit::lab::Namespace;
use fairway_testkit::{Family, Lab};

use crate::nft;
use crate::packets::kube_proxy;
use crate::packets::population::{Population, Target};

/// The name of the lab's only node.
pub(crate) const NODE: &str = "node-1";

/// Endpoints of a port that has many: more than eight, so that fairway draws one from a large class after it has asked
/// every small one (`docs/decisions/0001-data-plane-layout.md`).
pub(crate) const ENDPOINTS: u8 = 10;

const CLIENT: &str = "pod-1-1";
const SERVER: &str = "pod-1-2";

/// What the node's packets meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// Plain routing.
    None,
    /// Plain routing and connection tracking, which every translation needs.
    Tracking,
    Fairway,
    KubeProxy,
}

/// How a client gets to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By its address: no Service is concerned.
    Pod,
    /// With one endpoint.
    ClusterIp,
    /// With [`ENDPOINTS`].
    WideClusterIp,
    /// With one endpoint.
    NodePort,
}

pub(crate) struct Site {
    pub(crate) table: Table,
    lab: Lab,
    target: Target,
    pub(crate) listener: TcpListener,
    /// Of each endpoint.
    pub(crate) answerers: Vec<UdpSocket>,
}

impl Site {
    /// Builds the node and writes its table.
    pub(crate) fn new(table: Table, population: &Population) -> Self {
        let lab = Lab::builder().nodes(1).pods_per_node(2);
        let lab = lab.build().expect("a lab");
        let pods = endpoints(&lab);
        let (listener, answerers) = lab.pod(SERVER).ns().run(|| {
            let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
            let port = listener.local_addr().expect("it is bound").port();
            let bind = |pod: &IpAddr| UdpSocket::bind((*pod, port)).expect("the same for UDP");
            let answerers: Vec<_> = pods.iter().map(bind).collect();
            (listener, answerers)
        });
        let target = Target {
            cluster_ip: lab.cluster_ip(Family::V4, 10),
            // The last of the range: none of the population has it.
            node_port: 32_767,
            pods,
            pod_port: listener.local_addr().expect("it is bound").port(),
        };
        let site = Self {
            table,
            lab,
            target,
            listener,
            answerers,
        };
        let node = &site.lab.nodes()[0];
        node.ns().run(|| match table {
            Table::None => {}
            Table::Tracking => nft::load(TRACK),
            Table::Fairway => site.program_fairway(*population),
            Table::KubeProxy => site.program_kube_proxy(*population),
        });
        site.check();
        site
    }

    /// Makes sure that packets go where they should, and come from whom they should: through a node port from the
    /// node, in any other way from the client.
    fn check(&self) {
        let client = self.lab.pod(CLIENT).ip(Family::V4);
        for way in self.ways() {
            let target = self.destination(*way);
            let connected = self.in_client(|| TcpStream::connect(target));
            let _client =
                connected.unwrap_or_else(|error| panic!("{:?}, {way:?}: {error}", self.table));
            let (_, from) = self.listener.accept().expect("it is there already");
            assert_eq!(
                from.ip() == client,
                *way != Way::NodePort,
                "{:?}, {way:?}",
                self.table
            );
        }
    }

    /// The ways there are.
    pub(crate) fn ways(&self) -> &'static [Way] {
        match self.table {
            Table::None | Table::Tracking => &[Way::Pod],
            Table::Fairway | Table::KubeProxy => {
                &[Way::Pod, Way::ClusterIp, Way::WideClusterIp, Way::NodePort]
            }
        }
    }

    pub(crate) fn destination(&self, way: Way) -> SocketAddr {
        let target = &self.target;
        match way {
            Way::Pod => (target.pods[0], target.pod_port).into(),
            Way::ClusterIp => (target.cluster_ip, Target::PORT).into(),
            Way::WideClusterIp => (target.cluster_ip, Target::WIDE_PORT).into(),
            Way::NodePort => (self.node_address(), target.node_port).into(),
        }
    }

    /// Runs on this core in the client's pod.
    pub(crate) fn in_client<T: Send>(&self, code: impl FnOnce() -> T + Send) -> T {
        self.lab.pod(CLIENT).ns().run(code)
    }

    fn node_address(&self) -> IpAddr {
        self.lab.nodes()[0].ip(Family::V4)
    }

    fn program_fairway(&self, population: Population) {
        let mut snapshot = Snapshot {
            node: Arc::new(Node {
                name: NODE.into(),
                addresses: vec![self.node_address()],
                service_cidrs: vec![self.lab.service_cidr(Family::V4)],
                ..Node::default()
            }),
            ..Snapshot::default()
        };
        for service in population.others().chain([self.target.service()]) {
            let name = service.name.clone();
            snapshot.services.insert_mut(name, Arc::new(service));
        }
        let options = Options {
            local_pods: LocalPods::ClusterCidr(vec![self.lab.cluster_cidr(Family::V4)]),
            ..Options::default()
        };
        let nothing = Observed::default();
        let (_, transactions) = Planner::start(options, &snapshot, [&nothing, &nothing]);
        let mut netlink = Netlink::open().expect("nf_tables");
        for transaction in &transactions {
            let report = netlink.commit(transaction).expect("the kernel takes it");
            assert_eq!(report.refused, []);
        }
    }

    fn program_kube_proxy(&self, population: Population) {
        let node = kube_proxy::Node {
            name: NODE,
            address: self.node_address(),
            cluster_cidr: self.lab.cluster_cidr(Family::V4),
            service_cidr: self.lab.service_cidr(Family::V4),
        };
        kube_proxy::program(&node, population.others().chain([self.target.service()]));
    }
}

/// The server's addresses: its own and some more, so that one pod stands for many.
fn endpoints(lab: &Lab) -> Vec<IpAddr> {
    let server = lab.pod(SERVER);
    let own = server.ip(Family::V4);
    let IpAddr::V4(first) = own else {
        unreachable!("it was asked for IPv4");
    };
    // Pods have numbers from 2 on; there are two of them.
    let [a, b, c, _] = first.octets();
    let more = (1..ENDPOINTS).map(|number| IpAddr::from([a, b, c, 100 + number]));
    let ip = |namespace: &Namespace, arguments: &[&str]| {
        let mut command = Command::new("ip");
        command.args(arguments);
        let output = namespace.output(command).expect("ip: install iproute2");
        assert!(output.status.success(), "{output:?}");
    };
    for address in more.clone().map(|address| address.to_string()) {
        ip(server.ns(), &["address", "add", &address, "dev", "eth0"]);
        let node = lab.nodes()[0].ns();
        ip(node, &["route", "add", &address, "via", &own.to_string()]);
    }
    [own].into_iter().chain(more).collect()
}

/// A rule that asks for the state of connections has the kernel track them.
const TRACK: &str = "\
table ip track {
    chain forward {
        type filter hook forward priority 0;
        ct state new accept;
    }
}
";
