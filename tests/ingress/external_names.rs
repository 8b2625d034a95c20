//! Services that are aliases of hosts outside of the cluster.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::{self, ingress};
use fairway_testkit::{Agent, Echo, Family, Lab};
use tempfile::NamedTempFile;

use super::site::{Site, endpoints};
use crate::support::{Cluster, Feed, becomes, fairway, fed_both_ways};

fed_both_ways!(
    only_hosts_outside_are_asked,
    a_router_alone_asks_only_hosts_outside
);

/// Serves DNS on 127.0.0.1 of a namespace until the test ends: these names have these addresses, and there
/// are no others.
fn serve_dns(namespace: &Namespace, names: BTreeMap<String, Vec<Ipv4Addr>>) {
    let socket = namespace.run(|| UdpSocket::bind("127.0.0.1:53")).unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            // Whoever is gone does not wait for an answer.
            let _ = socket.send_to(&answer(&query[..length], &names), client);
        }
    });
}

/// RFC 1035 section 4.1.
fn answer(query: &[u8], names: &BTreeMap<String, Vec<Ipv4Addr>>) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let next = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..next]).into_owned());
        at = next;
    }
    let question = &query[12..at + 5];
    let is_a = query[at + 2] == 1;
    let known = names.get(&labels.join("."));
    let code = if known.is_some() { 0 } else { 3 };
    let addresses: Vec<_> = known.filter(|_| is_a).into_iter().flatten().collect();
    let mut answer = query[..2].to_vec();
    let count = u8::try_from(addresses.len()).unwrap();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(question);
    for address in addresses {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

/// Starts the agent of the first node with 127.0.0.1 as its only name server.
fn start_with_dns(site: &Site, resolv_conf: &Path) -> Agent {
    let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let mut arguments = ["--mount", "sh", "-c", mount].map(str::to_owned).to_vec();
    arguments.push(resolv_conf.to_str().unwrap().to_owned());
    arguments.push(fairway().to_str().unwrap().to_owned());
    arguments.extend(site.run_arguments("node-1"));
    let node = site.lab().node("node-1").ns();
    let agent = Agent::spawn(node, Path::new("unshare"), arguments).unwrap();
    agent.wait_ready().unwrap();
    agent
}

/// Scenario 30.
fn only_hosts_outside_are_asked(feed: Feed) {
    asks_only_hosts_outside(feed, &[]);
}

/// Scenario 30. Another program is the service proxy.
fn a_router_alone_asks_only_hosts_outside(feed: Feed) {
    asks_only_hosts_outside(feed, &["--service-proxy=false"]);
}

/// Where there are no ServiceCIDRs, as before Kubernetes 1.33.
fn asks_only_hosts_outside(feed: Feed, flags: &[&str]) {
    let lab = Lab::builder().nodes(1);
    let lab = lab.pod("outside", "node-1").pod("elsewhere", "node-1");
    let site = Site::new(Cluster::new(feed, lab).with_further_flags(flags));
    let node = site.lab().node("node-1");
    let v4 = |text: std::net::IpAddr| text.to_string().parse::<Ipv4Addr>().unwrap();
    let outside = v4(site.lab().pod("outside").ip(Family::V4));
    let elsewhere = site.lab().pod("elsewhere").ip(Family::V4);
    let metadata = Ipv4Addr::new(169, 254, 169, 254);
    let names = [
        ("db.example", vec![outside]),
        ("inside.example", vec![Ipv4Addr::LOCALHOST]),
        ("metadata.example", vec![metadata]),
        ("node.example", vec![v4(node.ip(Family::V4))]),
        ("bridge.example", vec![v4(node.pod_gateway(Family::V4))]),
        (
            "service.example",
            vec![v4(site.lab().cluster_ip(Family::V4, 20))],
        ),
        ("elsewhere.example", vec![v4(elsewhere)]),
        (
            "mixed.example",
            vec![Ipv4Addr::LOCALHOST, metadata, outside],
        ),
    ];
    let names = names.map(|(name, addresses)| (name.to_owned(), addresses));
    serve_dns(node.ns(), names.into());

    let port = Echo::HTTP;
    let hosts = [
        ("alias", "db.example", "outside"),
        ("dotted", "db.example.", "outside"),
        ("mixed", "mixed.example", "outside"),
        ("inside", "inside.example", "503"),
        ("metadata", "metadata.example", "503"),
        ("node", "node.example", "503"),
        ("bridge", "bridge.example", "503"),
        ("service", "service.example", "503"),
        ("elsewhere", "elsewhere.example", "elsewhere"),
        ("missing", "missing.example", "503"),
        ("localhost", "localhost", "503"),
        ("address", "127.0.0.1", "503"),
    ];
    let services = hosts.map(|(name, host, _)| objects::service(name).external_name(host));
    site.apply("services", services);
    let translated = objects::service("translated").tcp("http", 80);
    let translated = translated.target_port(port).external_name("db.example");
    site.apply("translated", [translated]);
    let pods = site.pods(&["outside"]);
    let mut inside = vec![site.service("inside-service", 20).tcp("http", port).build()];
    inside.extend(endpoints("inside-service", &pods));
    site.apply("inside", inside);
    let web = ingress("web").class("fairway");
    let web = hosts
        .into_iter()
        .fold(web, |web, (name, _, _)| web.prefix(name, "/", name, port));
    let web = web.prefix("translated", "/", "translated", "http");
    site.apply("web", [web]);

    let resolv_conf = NamedTempFile::new().unwrap();
    fs::write(&resolv_conf, "nameserver 127.0.0.1\noptions timeout:1\n").unwrap();
    let agent = start_with_dns(&site, resolv_conf.path());
    for (name, _, expected) in hosts {
        site.becomes(name, "/", expected);
    }
    site.becomes("translated", "/", "outside");
    let patience = Duration::from_secs(10);
    for told in [
        "a link-local address, which is never asked",
        "a loopback address, which is never asked",
        "an address of this node, which is never asked",
        "an address of a Service, which is never asked",
        "cannot find the host of an ExternalName",
        "no DNS name",
    ] {
        agent.wait_for_log(told, patience).unwrap();
    }
    if feed == Feed::Api {
        events_tell_of_each(&site);
    }
    // Told by now, none of them is asked even so.
    for (name, _, expected) in hosts {
        assert_eq!(site.answers(name, "/"), expected, "{name}");
    }
    let answer = site.get("alias", "/").answer().unwrap();
    assert_eq!(answer.header("host"), ["alias"], "as with other backends");
    assert!(!agent.stderr().contains("BackendPortNotFound"));

    // An answer is judged again when a Service gets the address, and when it goes.
    let late = objects::service("late").tcp("http", 81);
    site.apply("late", [late.external_ip(elsewhere)]);
    site.becomes("elsewhere", "/", "503");
    site.delete("late");
    site.becomes("elsewhere", "/", "elsewhere");
}

/// The owner of a Service does not read the agent's log.
fn events_tell_of_each(site: &Site) {
    let expected = [
        ("inside", "127.0.0.1, a loopback address"),
        ("metadata", "169.254.169.254, a link-local address"),
        ("mixed", "127.0.0.1, a loopback address"),
        ("mixed", "169.254.169.254, a link-local address"),
        ("node", "an address of this node"),
        ("bridge", "an address of this node"),
        ("service", "an address of a Service"),
    ];
    becomes(Vec::new(), "the Events that are missing", || {
        let events = site.api_server().events("AddressRefused");
        let tells = |name: &str, what: &str| {
            events.iter().any(|event| {
                let note = event["note"].as_str().unwrap_or_default();
                event["regarding"]["kind"] == "Service"
                    && event["regarding"]["name"] == name
                    && event["type"] == "Warning"
                    && note.contains(what)
                    && note.contains("spec.externalName")
            })
        };
        let missing = expected.iter().filter(|(name, what)| !tells(name, what));
        missing.collect::<Vec<_>>()
    });
    let events = site.api_server().events("AddressRefused");
    for asked in ["alias", "dotted", "translated", "missing"] {
        let told = events
            .iter()
            .find(|event| event["regarding"]["name"] == asked);
        assert_eq!(told, None);
    }
}
