//! What the first packet of a connection pays: real connections from pod to pod, by way of a ClusterIP
//! and past it, with few and with many Services.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fairway_model::Protocol;
use fairway_testkit::{Agent, Echo, Family, Lab, objects};
use rustix::net::sockopt::set_socket_linger;

use crate::report::{median, short};
use crate::scale::population::Population;
use crate::scale::report::Amount;

/// A node with two pods and an agent that has programmed so many Services.
struct Node {
    services: usize,
    lab: Lab,
    _agent: Option<Agent>,
    _server: fairway_testkit::ApiServer,
    _kubeconfig: tempfile::NamedTempFile,
}

/// Where connections go.
#[derive(Clone, Copy)]
enum Way {
    Service,
    /// Straight to the pod: no Service is concerned.
    Past,
}

pub(crate) fn measure(sizes: &[usize], amount: Amount) -> String {
    // Without an agent first: what a connection costs anyway.
    let nodes: Vec<_> = std::iter::once(0)
        .chain(sizes.iter().copied())
        .map(Node::start)
        .collect();
    let ways: Vec<(&Node, Way)> = nodes
        .iter()
        .flat_map(|node| {
            let service = (node.services > 0).then_some((node, Way::Service));
            [Some((node, Way::Past)), service].into_iter().flatten()
        })
        .collect();
    // All in turn in each round, so that what else the machine does strikes all alike.
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..amount.rounds {
        for ((node, way), times) in ways.iter().zip(&mut times) {
            times.push(node.connect(*way, amount.connections));
        }
    }
    let mut out = "| Services | traffic | best round | median round | beside no agent |\n\
         | ---: | --- | ---: | ---: | ---: |"
        .to_owned();
    let best = |times: &[Duration]| times.iter().min().copied().unwrap_or_default();
    let baseline = best(&times[0]);
    for ((node, way), times) in ways.iter().zip(&mut times) {
        let traffic = match way {
            Way::Service => "to a Service",
            Way::Past => "to none",
        };
        // Writing to a String does not fail.
        let _ = write!(
            out,
            "\n| {} | {traffic} | {} | {} | {:.2}x |",
            node.services,
            short(best(times)),
            short(median(times)),
            best(times).as_secs_f64() / baseline.as_secs_f64(),
        );
    }
    out
}

impl Node {
    fn start(services: usize) -> Self {
        let lab = Lab::builder().nodes(1).pods_per_node(2);
        let lab = lab.build().expect("a lab");
        let server = lab.start_api_server().expect("an API server");
        let apply = |object| server.apply(object).expect("a valid object");
        apply(objects::node(&lab.nodes()[0]));
        Population::new(services.saturating_sub(1), 2)
            .objects()
            .for_each(apply);
        let service = objects::service("web").cluster_ip(lab.cluster_ip(Family::V4, 10));
        apply(service.tcp("", 80).build());
        let ports = [("", Protocol::Tcp, Echo::LINES)];
        let slices = objects::endpoint_slices("web", &ports, &[lab.pod("pod-1-2")]);
        slices.into_iter().for_each(apply);

        let kubeconfig = tempfile::NamedTempFile::new().expect("a temporary file");
        server
            .write_kubeconfig(kubeconfig.path())
            .expect("a kubeconfig");
        let agent = (services > 0).then(|| {
            let path = kubeconfig
                .path()
                .to_str()
                .expect("a path without surprises");
            let cidr = lab.cluster_cidr(Family::V4).to_string();
            let arguments = [
                "run",
                "--hostname-override",
                "node-1",
                "--kubeconfig",
                path,
                "--cluster-cidr",
                &cidr,
            ];
            let program = crate::program::path();
            let agent = Agent::spawn(lab.nodes()[0].ns(), &program, arguments).expect("an agent");
            crate::scale::site::wait_ready(&agent);
            agent
        });
        Self {
            services,
            lab,
            _agent: agent,
            _server: server,
            _kubeconfig: kubeconfig,
        }
    }

    /// The time of one connection, of so many in a row.
    fn connect(&self, way: Way, connections: usize) -> Duration {
        let target: SocketAddr = match way {
            Way::Service => (self.lab.cluster_ip(Family::V4, 10), 80).into(),
            Way::Past => (self.lab.pod("pod-1-2").ip(Family::V4), Echo::LINES).into(),
        };
        self.lab.pod("pod-1-1").ns().run(|| {
            let started = Instant::now();
            for _ in 0..connections {
                let stream = TcpStream::connect(target).expect("the pod answers");
                // Closed by a reset, or the ports would run out.
                set_socket_linger(&stream, Some(Duration::ZERO))
                    .expect("an option of every socket");
            }
            started.elapsed() / u32::try_from(connections).expect("a few")
        })
    }
}
