//! RBAC: all that the agent asks for, and nothing else.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use fairway_testkit::apiserver::Request;
use fairway_testkit::certificates::Authority;
use fairway_testkit::objects::{ingress, service, tls_secret};
use fairway_testkit::{Family, Lab, Manifests, eventually, lab};
use serde_json::{Value, json};

use super::agent;
use super::rendering::Rendering;
use crate::ingress::site::Site;
use crate::support::{Cluster, Feed, becomes};

const NODE_PORT: u16 = 30090;

#[test]
fn both_halves_may_do_what_they_do_and_no_more() {
    lab::test(|| check("overlays/digitalocean"));
}

#[test]
fn the_service_proxy_may_do_what_it_does_and_no_more() {
    lab::test(|| check("overlays/service-proxy-only"));
}

#[test]
fn the_router_may_do_what_it_does_and_no_more() {
    lab::test(|| check("overlays/ingress-only"));
}

fn check(overlay: &str) {
    let rendering = Rendering::kustomize(overlay);
    let mut rules = rules(&rendering);
    if rendering.find("Role", "fairway-ingress").is_some() {
        // As with `kubectl apply -n default -k manifests/certificates`.
        let mut certificates = self::rules(&Rendering::kustomize("certificates"));
        for rule in &mut certificates {
            rule.namespace = Some("default".to_owned());
        }
        rules.extend(certificates);
    }
    let site = site();
    let directory = Manifests::in_tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    // In a pod it is the pod's own namespace.
    let text = site.api_server().kubeconfig();
    let text = text.replace("user: test}", "user: test, namespace: fairway-system}");
    std::fs::write(&kubeconfig, text).unwrap();
    let node = site.lab().node("node-1").ns();
    let kubeconfig = ["--kubeconfig", kubeconfig.to_str().unwrap()];
    let _agent = agent::spawn(&rendering, node, directory.path(), &kubeconfig);

    let asked = || -> BTreeSet<Asked> {
        let requests = site.api_server().requests();
        requests.iter().map(Asked::of).collect()
    };
    // Events about an Ingress, and about a Service: a process listens on its node port, or its annotation says nothing.
    let _listener = eventually("the port is free", || {
        node.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, NODE_PORT)))
    });
    let busy = site.service("busy", 11).tcp("tcp", 80).node_port(NODE_PORT);
    let busy = busy.annotation("fairway.dev/endpoint-weights", "nonsense");
    site.apply("busy", [busy]);
    let wrong = ingress("late").class("fairway");
    site.apply("late", [wrong.prefix("late", "/", "nobody", 80)]);
    let unused = || -> Vec<String> {
        let asked = asked();
        let needless = rules.iter().flat_map(Rule::grants);
        let needless = needless.filter(|grant| !asked.iter().any(|it| it.uses(grant)));
        needless.map(|grant| format!("{grant:?}")).collect()
    };
    becomes(
        Vec::new(),
        &format!("what {overlay} permits needlessly"),
        unused,
    );
    for request in asked() {
        let permitted = rules.iter().any(|rule| rule.permits(&request));
        assert!(permitted, "{overlay} does not permit {request:?}");
    }
}

/// A cluster in which there is work for everybody.
fn site() -> Site {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let site = Site::new(Cluster::new(Feed::Api, lab));
    site.apply_apps(&["web"]);
    let v4 = Family::V4;
    let balancer = service("fairway-ingress").namespace("fairway-system");
    let balancer = balancer
        .cluster_ip(site.lab().cluster_ip(v4, 80))
        .kind("LoadBalancer");
    let balancer = balancer.load_balancer_ip(site.lab().balancer().ip(v4));
    site.apply("balancer", [balancer.tcp("http", 80).node_port(30080)]);
    let issued = Authority::new("test").unwrap().server(&["web"]).unwrap();
    site.apply("secret", [tls_secret("web", &issued)]);
    let web = ingress("web")
        .class("fairway")
        .prefix("web", "/", "web", 80);
    site.apply("web", [web.tls(&["web"], "web")]);
    site
}

/// What a request asks of RBAC.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    verb: String,
    group: String,
    /// With the subresource.
    resource: String,
    namespace: Option<String>,
    /// Also of a list or watch that selects one object by its name.
    name: Option<String>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let group = match parts.remove(0) {
            "api" => String::new(),
            _ => parts.remove(0).to_owned(),
        };
        parts.remove(0); // the version
        let namespace = match parts[..] {
            ["namespaces", namespace, _, ..] => Some(namespace.to_owned()),
            _ => None,
        };
        if namespace.is_some() {
            parts.drain(..2);
        }
        let selected = query.split('&').find_map(|part| {
            let name = part.strip_prefix("fieldSelector=metadata.name%3D");
            name.or_else(|| part.strip_prefix("fieldSelector=metadata.name="))
        });
        let resource = match parts[..] {
            [resource, _, subresource] => format!("{resource}/{subresource}"),
            _ => parts[0].to_owned(),
        };
        Self {
            verb: request.verb.to_string(),
            group,
            resource,
            namespace,
            name: parts.get(1).copied().or(selected).map(str::to_owned),
        }
    }

    fn uses(&self, [group, resource, verb]: &[String; 3]) -> bool {
        (&self.group, &self.resource, &self.verb) == (group, resource, verb)
    }
}

/// A rule, and where it holds: everywhere without a namespace.
#[derive(Debug)]
struct Rule {
    namespace: Option<String>,
    rule: Value,
}

impl Rule {
    fn permits(&self, asked: &Asked) -> bool {
        let has = |field: &str, wanted: &str| {
            let values = self.rule[field].as_array().into_iter().flatten();
            values.into_iter().any(|value| value == wanted)
        };
        let names = &self.rule["resourceNames"];
        has("apiGroups", &asked.group)
            && has("resources", &asked.resource)
            && has("verbs", &asked.verb)
            && (self.namespace.is_none() || self.namespace == asked.namespace)
            && (names.is_null()
                || asked
                    .name
                    .as_ref()
                    .is_some_and(|name| has("resourceNames", name)))
    }

    /// Group, resource and verb of all that it permits.
    fn grants(&self) -> impl Iterator<Item = [String; 3]> {
        let list = |field: &str| -> Vec<String> {
            serde_json::from_value(self.rule[field].clone()).unwrap()
        };
        let (groups, resources, verbs) = (list("apiGroups"), list("resources"), list("verbs"));
        let mut grants = Vec::new();
        for group in &groups {
            for resource in &resources {
                grants.extend(
                    verbs
                        .iter()
                        .map(|verb| [group.clone(), resource.clone(), verb.clone()]),
                );
            }
        }
        grants.into_iter()
    }
}

/// What the roles permit that are bound to the agent.
fn rules(rendering: &Rendering) -> Vec<Rule> {
    let objects = rendering.objects();
    let bindings = objects.iter().filter(|object| {
        let kind = object["kind"].as_str().unwrap();
        let subject =
            json!({"kind": "ServiceAccount", "name": "fairway", "namespace": "fairway-system"});
        kind.ends_with("RoleBinding") && object["subjects"] == json!([subject])
    });
    bindings
        .flat_map(|binding| {
            let role = &binding["roleRef"];
            let name = role["name"].as_str().unwrap();
            let role = rendering.object(role["kind"].as_str().unwrap(), name);
            let namespace = &binding["metadata"]["namespace"];
            let rules = role["rules"].as_array().unwrap().clone().into_iter();
            let namespace = namespace.as_str().map(str::to_owned);
            rules.map(move |rule| Rule {
                namespace: namespace.clone(),
                rule,
            })
        })
        .collect()
}
