//! What one of all agents says for all: the status of Ingresses, and Events about them.

use fairway_testkit::objects::{self, ingress, ingress_class};
use fairway_testkit::{Lab, lab};

use serde_json::json;

use crate::support::{Cluster, Feed, becomes};

const ADDRESS: &str = "203.0.113.7";

fn cluster() -> Cluster {
    let cluster = Cluster::new(Feed::Api, Lab::builder().nodes(2).pods_per_node(0));
    let cluster = cluster.with_flags(&["--publish-status-address", ADDRESS]);
    let class = ingress_class("fairway", "fairway.dev/ingress");
    cluster.apply("class", [class]);
    cluster
}

fn says(cluster: &Cluster, name: &str) -> Option<String> {
    let ingress = cluster.api_server().get("Ingress", "default", name)?;
    let address = &ingress["status"]["loadBalancer"]["ingress"][0]["ip"];
    address.as_str().map(str::to_owned)
}

#[test]
fn one_agent_writes_the_status_and_tells_what_is_wrong() {
    lab::test(|| {
        let cluster = cluster();
        let broken = ingress("web")
            .class("fairway")
            .prefix("a.test", "/", "nowhere", 80);
        cluster.apply("web", [broken]);
        cluster.apply("other", [ingress("other").class("other")]);
        cluster.start();
        becomes(Some(ADDRESS.to_owned()), "the status", || {
            says(&cluster, "web")
        });
        let server = cluster.api_server();
        becomes(1, "the number of Events", || {
            server.events("BackendNotFound").len()
        });
        let event = &server.events("BackendNotFound")[0];
        assert_eq!(event["regarding"]["kind"], "Ingress", "{event}");
        assert_eq!(event["regarding"]["name"], "web");
        assert_eq!(event["type"], "Warning");
        let note = event["note"].as_str().unwrap();
        assert!(note.contains("nowhere"), "{note}");

        // What comes later is written, too, and what is not ours never.
        cluster.apply("late", [ingress("late").class("fairway")]);
        becomes(Some(ADDRESS.to_owned()), "the status", || {
            says(&cluster, "late")
        });
        assert_eq!(says(&cluster, "other"), None);
        assert_eq!(server.events("BackendNotFound").len(), 1);
    });
}

#[test]
fn another_agent_goes_on_when_the_leader_ends() {
    lab::test(|| {
        let cluster = cluster();
        let server = cluster.api_server();
        let web = |name: &str| ingress(name).class("fairway").prefix(name, "/", "none", 80);
        cluster.apply("web", [web("web")]);
        cluster.start_agent("node-1");
        becomes(Some(ADDRESS.to_owned()), "the status", || {
            says(&cluster, "web")
        });
        becomes(1, "the number of Events", || {
            server.events("BackendNotFound").len()
        });
        cluster.agent("node-1").terminate().unwrap();
        let holder = || {
            let lease = server.get("Lease", "default", "fairway-ingress-fairway");
            lease.unwrap()["spec"]["holderIdentity"].clone()
        };
        assert_eq!(holder(), "", "given up, or the next one would wait 30 s");
        let written = server.get("Ingress", "default", "web");

        cluster.start_agent("node-2");
        // After the other, whether it is in the first list or comes later.
        cluster.apply("younger", [web("younger")]);
        becomes(Some(ADDRESS.to_owned()), "the status", || {
            says(&cluster, "younger")
        });
        assert_eq!(holder(), "node-2");
        // What the leader before has written and told is neither written nor told again.
        let told = |name: &str| {
            let events = server.events("BackendNotFound").into_iter();
            events
                .filter(|event| event["regarding"]["name"] == name)
                .count()
        };
        becomes(1, "the number of Events", || told("younger"));
        assert_eq!(told("web"), 1);
        assert_eq!(server.get("Ingress", "default", "web"), written);
    });
}

#[test]
fn what_became_of_an_ingress_is_told_once() {
    lab::test(|| {
        let cluster = cluster();
        cluster.apply("web", [ingress("web").class("fairway")]);
        cluster.start();
        becomes(Some(ADDRESS.to_owned()), "the status", || {
            says(&cluster, "web")
        });
        // There when the agents started, it is no news.
        let server = cluster.api_server();
        let late = ingress("late").class("fairway");
        cluster.apply("late", [late.prefix("a.test", "/", "nobody", 80)]);
        cluster.apply("other", [ingress("other").class("other")]);
        for (reason, severity, said) in [
            ("Accepted", "Normal", "serves one host"),
            ("BackendNotFound", "Warning", "does not exist"),
        ] {
            becomes(1, reason, || server.events(reason).len());
            let event = &server.events(reason)[0];
            assert_eq!(event["regarding"]["name"], "late", "{event}");
            assert_eq!(event["type"], severity);
            let note = event["note"].as_str().unwrap();
            assert!(note.contains(said), "{note}");
        }
        // The status is written by then, and changes nothing of this.
        becomes(Some(ADDRESS.to_owned()), "the status", || {
            says(&cluster, "late")
        });
        assert_eq!(server.events("Accepted").len(), 1);
    });
}

/// As of cloud providers that give a name: it is shown, whatever it leads to.
#[test]
fn a_load_balancer_that_has_a_name_only_is_shown_by_it() {
    lab::test(|| {
        let cluster = Cluster::new(Feed::Api, Lab::builder().nodes(1).pods_per_node(0));
        let cluster = cluster.with_flags(&["--publish-service=default/balancer"]);
        cluster.apply("class", [ingress_class("fairway", "fairway.dev/ingress")]);
        let balancer = objects::service("balancer").kind("LoadBalancer");
        let entry = json!([{"hostname": "lb.example.com"}]);
        let balancer = balancer.tcp("http", 80).node_port(30080);
        cluster.apply(
            "balancer",
            [balancer.set("/status/loadBalancer", "ingress", entry.clone())],
        );
        cluster.apply("web", [ingress("web").class("fairway")]);
        cluster.start();
        becomes(entry, "the status", || {
            let web = cluster.api_server().get("Ingress", "default", "web");
            web.unwrap()["status"]["loadBalancer"]["ingress"].clone()
        });
    });
}
