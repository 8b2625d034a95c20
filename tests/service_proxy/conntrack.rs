//! UDP clients that keep their port while what they talk to changes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Conversation, Failure};
use fairway_testkit::echo::Identity;
use fairway_testkit::lab::{Namespace, Node, Pod};
use fairway_testkit::objects::{Object, Service, endpoint_slice, endpoint_slices};
use fairway_testkit::{Echo, Family, Lab, nft};

use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(
    clients_follow_the_endpoints,
    clients_inside_follow_under_a_local_policy,
    clients_that_spoke_too_early_are_heard,
    endpoints_go_to_none_and_come_back,
    the_target_port_changes,
    endpoints_that_serve_keep_their_flows,
    strangers_with_the_number_of_a_node_port_are_left_alone,
    a_restart_cuts_nobody_off,
    rules_that_come_back_take_flows_back,
);

const NODE_PORT: u16 = 30080;

/// Scenarios 92 and 93: by node port, by ClusterIP, from pods, from outside and from the node itself.
fn clients_follow_the_endpoints(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    serve(&cluster, &["pod-1-1"]);
    cluster.start();
    let talks = talks(&cluster);
    for pod in ["pod-1-1", "pod-2-1", "pod-1-1"] {
        serve(&cluster, &[pod]);
        for talk in &talks {
            talk.is_answered_by(pod);
        }
    }
    // The old pod is alive all the time; so it also is with one that is dead.
    serve(&cluster, &["pod-2-1"]);
    lab.remove_pod("pod-1-1").unwrap();
    for talk in &talks {
        talk.is_answered_by("pod-2-1");
    }
}

/// Scenario 93, its other half.
fn clients_inside_follow_under_a_local_policy(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let local = web(&cluster).internal_traffic_local();
    cluster.apply("service", [local.external_traffic_local()]);
    endpoints(&cluster, &["pod-1-1", "pod-2-1"], Echo::LINES);
    cluster.start();
    let client = lab.pod("pod-1-2");
    for family in Family::BOTH {
        let talk = Talk::new(client.ns(), cluster.cluster_ip(family, 10, 53));
        talk.is_answered_by("pod-1-1");
        endpoints(&cluster, &["pod-1-3", "pod-2-1"], Echo::LINES);
        talk.is_answered_by("pod-1-3");
        // Nobody on this node: silence, not the other node's endpoint.
        endpoints(&cluster, &["pod-2-1"], Echo::LINES);
        talk.becomes(Err(Failure::TimedOut));
        endpoints(&cluster, &["pod-1-1", "pod-2-1"], Echo::LINES);
        talk.is_answered_by("pod-1-1");
    }
}

/// Scenario 94.
fn clients_that_spoke_too_early_are_heard(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    cluster.start();
    // So that untranslated packets go somewhere, as they do behind a default route.
    for (family, external) in Family::BOTH.into_iter().zip(external()) {
        let route = lab.service_cidr(family);
        let gateway = lab.balancer().ip(family);
        for node in lab.nodes() {
            for route in [route, external.into()] {
                node.host().add_route(route, gateway).unwrap();
            }
        }
    }
    let talks = talks(&cluster);
    for talk in &talks {
        assert!(talk.ask().is_err());
        assert_ne!(talk.flows(&cluster), [""; 0], "{talk:?}");
    }
    cluster.apply("service", [web(&cluster)]);
    for talk in &talks {
        assert!(talk.ask().is_err());
    }
    endpoints(&cluster, &["pod-1-1"], Echo::LINES);
    for talk in &talks {
        talk.is_answered_by("pod-1-1");
    }
}

/// Scenario 95.
fn endpoints_go_to_none_and_come_back(feed: Feed) {
    let cluster = cluster(feed);
    serve(&cluster, &["pod-1-1"]);
    cluster.start();
    let talks = talks(&cluster);
    let all_become = |answer: Result<&str, Failure>| {
        for talk in &talks {
            talk.becomes(answer);
        }
    };
    all_become(Ok("pod-1-1"));
    endpoints(&cluster, &[], Echo::LINES);
    all_become(Err(Failure::Refused));
    endpoints(&cluster, &["pod-2-1"], Echo::LINES);
    all_become(Ok("pod-2-1"));

    for file in ["service", "slices"] {
        cluster.delete(file);
    }
    for talk in &talks {
        becomes(false, "whether it is answered", || talk.ask().is_ok());
    }
    serve(&cluster, &["pod-1-1"]);
    all_become(Ok("pod-1-1"));

    // The Service alone, while its endpoints stay.
    cluster.delete("service");
    for talk in &talks {
        becomes(false, "whether it is answered", || talk.ask().is_ok());
    }
}

/// Scenario 96.
fn the_target_port_changes(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    lab.pod("pod-1-1").echo().serve_lines(9001).unwrap();
    serve(&cluster, &["pod-1-1"]);
    cluster.start();
    let talks = talks(&cluster);
    for port in [Echo::LINES, 9001, Echo::LINES] {
        endpoints(&cluster, &["pod-1-1"], port);
        for talk in &talks {
            becomes(Ok(port), "the pod's port", || {
                let reply = talk.0.ask().map_err(|error| error.failure());
                reply.map(|reply| reply.own.port())
            });
        }
    }
}

/// Scenario 97.
fn endpoints_that_serve_keep_their_flows(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    serve(&cluster, &["pod-1-1"]);
    cluster.start();
    let talks = talks(&cluster);
    let before = flows(&cluster, &talks, "pod-1-1");
    let [old, new, third] = ["pod-1-1", "pod-2-1", "pod-1-2"].map(|name| lab.pod(name));

    let slices = |pods: &[&Pod]| {
        let slices = Family::BOTH.map(|family| {
            let slice = endpoint_slice("web", family).udp("", Echo::LINES);
            let slice = slice.pod(&old).terminating(true);
            pods.iter().fold(slice, |slice, pod| slice.pod(pod))
        });
        cluster.apply("slices", slices);
    };
    slices(&[&third]);
    for talk in &talks {
        becomes(Ok("pod-1-2".to_owned()), "who answers newcomers", || {
            who(ask::udp(lab.pod("pod-1-2").ns(), talk.0.server()))
        });
    }
    let fresh = self::talks(&cluster);
    for talk in &fresh {
        talk.is_answered_by("pod-1-2");
    }
    // The third endpoint goes, and its flows with it: all are looked through.
    slices(&[&new]);
    for talk in &fresh {
        talk.is_answered_by("pod-2-1");
    }
    look_through(&cluster);
    assert_eq!(flows(&cluster, &talks, "pod-1-1"), before);

    endpoints(&cluster, &["pod-2-1"], Echo::LINES);
    for talk in talks.iter().chain(&fresh) {
        talk.is_answered_by("pod-2-1");
    }
}

/// Scenario 98.
fn strangers_with_the_number_of_a_node_port_are_left_alone(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    serve(&cluster, &["pod-1-1"]);
    // A process of the node, at an address that serves no node ports: not the primary one.
    let node = lab.node("node-1");
    let other: [IpAddr; 2] = [
        Ipv4Addr::new(172, 18, 77, 1).into(),
        Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, 0x77).into(),
    ];
    for address in other {
        node.host().add_address(address).unwrap();
        // The kernel takes a moment to find that nobody else has it.
        becomes(true, "whether the address is there", || {
            node.ns().run(|| UdpSocket::bind((address, 0)).is_ok())
        });
    }
    let process = stranger(node.ns(), "process", &other);
    // And a machine outside, whom pods talk to by way of the node.
    let outside = Family::BOTH.map(|family| lab.balancer().ip(family));
    let machine = stranger(lab.balancer().ns(), "machine", &outside);
    cluster.start();
    let strangers = |addresses: [IpAddr; 2], client: &Namespace, name| {
        addresses.map(|address| {
            let talk = Talk::new(client, (address, NODE_PORT).into());
            talk.is_answered_by(name);
            talk
        })
    };
    let inside = strangers(other, lab.client().ns(), "process");
    let before_inside = flows(&cluster, &inside, "process");
    let outside = strangers(outside, lab.pod("pod-1-2").ns(), "machine");
    let before_outside = flows(&cluster, &outside, "machine");

    let talks = talks(&cluster);
    for pod in ["pod-1-1", "pod-2-1"] {
        endpoints(&cluster, &[pod], Echo::LINES);
        for talk in &talks {
            talk.is_answered_by(pod);
        }
    }
    endpoints(&cluster, &[], Echo::LINES);
    for talk in &talks {
        talk.becomes(Err(Failure::Refused));
    }
    look_through(&cluster);
    assert_eq!(flows(&cluster, &inside, "process"), before_inside);
    assert_eq!(flows(&cluster, &outside, "machine"), before_outside);
    drop((process, machine));
}

/// Scenario 102.
fn a_restart_cuts_nobody_off(feed: Feed) {
    let cluster = cluster(feed);
    serve(&cluster, &["pod-1-1"]);
    cluster.start();
    let talks = talks(&cluster);
    let before = flows(&cluster, &talks, "pod-1-1");
    for node in cluster.lab().nodes() {
        cluster.agent(node.name()).kill().unwrap();
        cluster.start_agent(node.name());
    }
    look_through(&cluster);
    assert_eq!(flows(&cluster, &talks, "pod-1-1"), before);

    // What changed meanwhile is noticed all the same.
    for node in cluster.lab().nodes() {
        cluster.agent(node.name()).kill().unwrap();
    }
    endpoints(&cluster, &["pod-2-1"], Echo::LINES);
    for node in cluster.lab().nodes() {
        cluster.start_agent(node.name());
    }
    for talk in &talks {
        talk.is_answered_by("pod-2-1");
    }
    for node in cluster.lab().nodes() {
        cluster.agent(node.name()).kill().unwrap();
    }
    cluster.delete("service");
    for node in cluster.lab().nodes() {
        cluster.start_agent(node.name());
    }
    for talk in &talks {
        becomes(false, "whether it is answered", || talk.ask().is_ok());
    }
}

/// Whoever spoke while somebody had flushed the rules is heard when they are back.
fn rules_that_come_back_take_flows_back(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    serve(&cluster, &["pod-1-1"]);
    cluster.start();
    let node = lab.node("node-1");
    for family in Family::BOTH {
        let talk = Talk::new(lab.client().ns(), (node.ip(family), NODE_PORT).into());
        // As it is without rules: the node has no such port.
        let script = format!("flush chain {} fairway services\n", family.nft());
        let agent = cluster.agent("node-1");
        agent.signal(rustix::process::Signal::STOP);
        nft::apply(node.ns(), &script).unwrap();
        talk.becomes(Err(Failure::Refused));
        agent.signal(rustix::process::Signal::CONT);
        talk.is_answered_by("pod-1-1");
    }
}

/// A conversation that does not end.
#[derive(Debug)]
struct Talk(Conversation);

impl Talk {
    fn new(client: &Namespace, server: SocketAddr) -> Self {
        // Bounds how long an answer is waited for that is lost on purpose.
        let patience = Duration::from_millis(200);
        Self(Conversation::udp(client, server, patience).unwrap())
    }

    fn ask(&self) -> Result<String, Failure> {
        who(self.0.ask())
    }

    #[track_caller]
    fn is_answered_by(&self, pod: &str) {
        self.becomes(Ok(pod));
    }

    #[track_caller]
    fn becomes(&self, answer: Result<&str, Failure>) {
        let what = format!("the answer of {}", self.0.server());
        becomes(answer.map(str::to_owned), &what, || self.ask());
    }

    /// The numbers of its flow on the nodes, as another program sees them.
    fn flows(&self, cluster: &Cluster) -> Vec<String> {
        let family = match self.0.server() {
            SocketAddr::V4(_) => "ipv4",
            SocketAddr::V6(_) => "ipv6",
        };
        let [source, destination] =
            [self.0.own().unwrap().port(), self.0.server().port()].map(|port| port.to_string());
        let list = |node: &Node| {
            let mut command = Command::new("conntrack");
            command.args(["-L", "-f", family, "-p", "udp", "-o", "id"]);
            command.args(["--orig-port-src", &source, "--orig-port-dst", &destination]);
            let output = node.ns().output(command).unwrap();
            assert!(output.status.success(), "{output:?}");
            let lines = String::from_utf8(output.stdout).unwrap();
            let ids = lines.lines().filter_map(|line| line.split_once(" id="));
            ids.map(|(_, id)| id.trim().to_owned()).collect::<Vec<_>>()
        };
        cluster.lab().nodes().iter().flat_map(list).collect()
    }
}

fn cluster(feed: Feed) -> Cluster {
    Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(3))
}

fn web(cluster: &Cluster) -> Object<Service> {
    let service = cluster.service("web", 10).udp("", 53).node_port(NODE_PORT);
    let [v4, v6] = external();
    service.load_balancer_ip(v4).external_ip(v6)
}

fn external() -> [IpAddr; 2] {
    [
        Ipv4Addr::new(203, 0, 113, 10).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 10).into(),
    ]
}

fn endpoints(cluster: &Cluster, pods: &[&str], port: u16) {
    let pods: Vec<_> = pods.iter().map(|name| cluster.lab().pod(name)).collect();
    let slices = endpoint_slices("web", &[("", Protocol::Udp, port)], &pods);
    cluster.apply("slices", slices);
}

fn serve(cluster: &Cluster, pods: &[&str]) {
    cluster.apply("service", [web(cluster)]);
    endpoints(cluster, pods, Echo::LINES);
}

/// One from everywhere to everything.
fn talks(cluster: &Cluster) -> Vec<Talk> {
    let lab = cluster.lab();
    let (node, other) = (lab.node("node-1"), lab.node("node-2"));
    let (pod, outside) = (lab.pod("pod-1-2"), lab.client());
    let talks = Family::BOTH.into_iter().zip(external());
    let talks = talks.flat_map(|(family, external)| {
        let node_port = |node: &Node| SocketAddr::new(node.ip(family), NODE_PORT);
        let cluster_ip = cluster.cluster_ip(family, 10, 53);
        [
            (pod.ns(), cluster_ip),
            (node.ns(), cluster_ip),
            (pod.ns(), (external, 53).into()),
            (pod.ns(), node_port(other)),
            (outside.ns(), node_port(node)),
            (outside.ns(), node_port(other)),
        ]
        .map(|(client, server)| Talk::new(client, server))
    });
    talks.collect()
}

/// The flows of talks that this pod answers, without a moment's doubt.
fn flows(cluster: &Cluster, talks: &[Talk], pod: &str) -> Vec<Vec<String>> {
    let flows = talks.iter().map(|talk| {
        assert_eq!(talk.ask().as_deref(), Ok(pod), "{talk:?}");
        talk.flows(cluster)
    });
    let flows: Vec<_> = flows.collect();
    assert!(flows.iter().all(|flows| !flows.is_empty()), "{flows:?}");
    flows
}

/// Waits until every node has looked through the flows of both families, for something else.
fn look_through(cluster: &Cluster) {
    static CALLS: AtomicU8 = AtomicU8::new(1);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let counts = || -> Vec<u64> {
        let nodes = cluster.lab().nodes().iter();
        nodes
            .flat_map(|node| Family::BOTH.map(|family| looks(node, family)))
            .collect()
    };
    let before = counts();
    let name = format!("other-{call}");
    let service = cluster.service(&name, 100 + call).udp("", 53).build();
    let pod = cluster.lab().pod("pod-1-3");
    let slices = endpoint_slices(&name, &[("", Protocol::Udp, Echo::LINES)], &[pod]);
    cluster.apply(&name, slices.into_iter().chain([service]));
    becomes(true, "whether flows have been looked through twice", || {
        let counts = counts().into_iter().zip(&before);
        counts.into_iter().all(|(now, before)| now >= before + 2)
    });
}

/// How often flows of a family have been looked through.
fn looks(node: &Node, family: Family) -> u64 {
    let metrics = SocketAddr::from((Ipv4Addr::LOCALHOST, 10249));
    let metrics = ask::http_get(node.ns(), metrics, "localhost", "/metrics").unwrap();
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let series = format!(
        "kubeproxy_conntrack_reconciler_sync_duration_seconds_count{{ip_family=\"{}\"}} ",
        family.kubernetes()
    );
    let mut lines = text.lines();
    let count = lines.find_map(|line| line.strip_prefix(&series));
    count.expect("kube-proxy's metric").parse().unwrap()
}

fn stranger(namespace: &Namespace, name: &str, addresses: &[IpAddr]) -> Echo {
    let identity = Identity {
        pod: name.to_owned(),
        node: String::new(),
    };
    let echo = Echo::new(namespace, identity, addresses);
    echo.serve_lines(NODE_PORT).unwrap();
    echo
}
