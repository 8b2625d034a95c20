//! A node with two pods, and one of the tables between them.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use fairway_model::{Node, Snapshot};
use fairway_nft::{Dataplane, Netlink};
use fairway_plan::{LocalPods, Observed, Options, Planner};
use fairway_testkit::{Family, Lab};

use crate::kube_proxy;
use crate::nft;
use crate::population::{Population, Target};

/// The name of the lab's only node.
pub(crate) const NODE: &str = "node-1";

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
    ClusterIp,
    NodePort,
}

pub(crate) struct Site {
    pub(crate) table: Table,
    lab: Lab,
    target: Target,
    pub(crate) listener: TcpListener,
    pub(crate) answerer: UdpSocket,
}

impl Site {
    /// Builds the node and writes its table.
    pub(crate) fn new(table: Table, population: &Population) -> Self {
        let lab = Lab::builder().nodes(1).pods_per_node(2);
        let lab = lab.build().expect("a lab");
        let server = lab.pod(SERVER);
        let address = server.ip(Family::V4);
        let (listener, answerer) = server.ns().run(|| {
            let listener = TcpListener::bind((address, 0)).expect("a port");
            let port = listener.local_addr().expect("it is bound").port();
            let answerer = UdpSocket::bind((address, port)).expect("the same for UDP");
            // Nothing is waited for; it would be a mistake of the bench, and is to be seen.
            let limit = Some(Duration::from_secs(5));
            answerer
                .set_read_timeout(limit)
                .expect("an option of every socket");
            (listener, answerer)
        });
        let target = Target {
            cluster_ip: lab.cluster_ip(Family::V4, 10),
            pod: address,
            port: 80,
            // The last of the range: none of the population has it.
            node_port: 32_767,
            pod_port: listener.local_addr().expect("it is bound").port(),
        };
        let site = Self {
            table,
            lab,
            target,
            listener,
            answerer,
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
            Table::Fairway | Table::KubeProxy => &[Way::Pod, Way::ClusterIp, Way::NodePort],
        }
    }

    pub(crate) fn destination(&self, way: Way) -> SocketAddr {
        let target = &self.target;
        match way {
            Way::Pod => (target.pod, target.pod_port).into(),
            Way::ClusterIp => (target.cluster_ip, target.port).into(),
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

/// A rule that asks for the state of connections has the kernel track them.
const TRACK: &str = "\
table ip track {
    chain forward {
        type filter hook forward priority 0;
        ct state new accept;
    }
}
";
