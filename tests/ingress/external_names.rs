//! Services that are aliases of hosts outside of the cluster.

mod dns;

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use fairway_testkit::objects::{self, ingress};
use fairway_testkit::{Echo, Family, Lab, ask, eventually};

use self::dns::{Dns, start_with_dns};
use super::reload::configuration;
use super::site::{Site, endpoints, outcome};
use crate::support::shown::problems;
use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(
    only_hosts_outside_are_asked,
    a_router_alone_asks_only_hosts_outside,
    what_is_known_of_a_host_outlives_a_configuration,
    nobody_is_let_in_before_hosts_are_found,
);

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
    let _dns = Dns::serve(node.ns(), names.into(), Duration::ZERO);

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

    let agent = start_with_dns(&site);
    agent.wait_ready().unwrap();
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
    // Six others are refused, too.
    becomes(7, "what is told", || refused(&site));
    site.delete("late");
    site.becomes("elsewhere", "/", "elsewhere");
    becomes(6, "what is told", || refused(&site));
    // Nobody is told of a Service that asks for nothing any more.
    site.delete("services");
    becomes(0, "what is told", || refused(&site));
}

/// How many Services are told that an address is never asked, if metrics and status page say the same.
fn refused(site: &Site) -> usize {
    let shown = problems(site).unwrap_or_default().into_iter();
    let shown = shown
        .filter(|(reason, _)| reason == "AddressRefused")
        .count();
    let metrics = ([127, 0, 0, 1], 10249).into();
    let answer = ask::http_get(site.lab().node("node-1").ns(), metrics, "node", "/metrics");
    let series = "fairway_object_problems{kind=\"Service\",reason=\"AddressRefused\"} ";
    let text = answer.unwrap().text();
    let counted = text.lines().find_map(|line| line.strip_prefix(series));
    match counted == Some(shown.to_string().as_str()) {
        true => shown,
        false => usize::MAX,
    }
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

/// A Service that is an alias of a host outside, and its name server.
fn site_with_alias(feed: Feed, flags: &[&str], delay: Duration) -> (Site, Dns) {
    let lab = Lab::builder().nodes(1).pod("outside", "node-1");
    let site = Site::new(Cluster::new(feed, lab).with_flags(flags));
    let outside = site.lab().pod("outside").ip(Family::V4).to_string();
    let names = [("db.example".to_owned(), vec![outside.parse().unwrap()])];
    let dns = Dns::serve(site.lab().node("node-1").ns(), names.into(), delay);
    let alias = objects::service("alias").external_name("db.example");
    site.apply("alias", [alias]);
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("alias", "/", "alias", Echo::HTTP)]);
    (site, dns)
}

/// A change of the configuration that has nothing to do with it, while names cannot be looked up.
fn what_is_known_of_a_host_outlives_a_configuration(feed: Feed) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fairway.yaml");
    fs::write(&file, configuration("")).unwrap();
    let flags = ["--config", file.to_str().unwrap()];
    let (site, dns) = site_with_alias(feed, &flags, Duration::ZERO);
    let agent = start_with_dns(&site);
    agent.wait_ready().unwrap();
    site.becomes("alias", "/", "outside");

    dns.fall_silent();
    // To and fro: what was inherited is handed on.
    for (count, trusted) in [(2, "0.0.0.0/0"), (3, "")] {
        fs::write(&file, configuration(trusted)).unwrap();
        becomes(count, "started with so many configurations", || {
            assert_eq!(site.answers("alias", "/"), "outside");
            agent.stderr().matches("fairway::agent: ready").count()
        });
        for _ in 0..50 {
            assert_eq!(site.answers("alias", "/"), "outside");
        }
    }
}

fn nobody_is_let_in_before_hosts_are_found(feed: Feed) {
    // Longer than it takes to open a router.
    let (site, _dns) = site_with_alias(feed, &[], Duration::from_millis(100));
    let _agent = start_with_dns(&site);
    let client = site.lab().client().ns();
    let first = eventually("the router answers", || {
        ask::http_get(client, site.router("node-1"), "alias", "/")
    });
    assert_eq!(outcome(&first), "outside");
}
