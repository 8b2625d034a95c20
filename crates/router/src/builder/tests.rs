mod aliases;

use std::collections::BTreeSet;

use fairway_model::{CertificateChoice, Conditions, ObjectName, Rule, Service, TlsPolicy};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fixture::{backend, exact_host, get, name, prefix, regex, routes, rule, service};
use crate::{Endpoints, Host, Path, Request, Target, Upstream, UsableEndpoint};

const READY: Conditions = Conditions::READY;

/// A cluster that changes, and the builder that follows it.
#[derive(Default)]
struct Cluster {
    snapshot: Snapshot,
    changes: Changes,
    builder: Builder,
}

impl Cluster {
    fn set_host(&mut self, host: &str, rules: impl IntoIterator<Item = Rule>) {
        let routes = Arc::new(routes(rules));
        self.snapshot
            .routes
            .hosts
            .insert_mut(exact_host(host), routes);
        self.changes.hosts.insert(exact_host(host));
    }

    fn remove_host(&mut self, host: &str) {
        self.snapshot.routes.hosts.remove_mut(&exact_host(host));
        self.changes.hosts.insert(exact_host(host));
    }

    fn set_service(&mut self, service: Service) {
        self.changes.services.insert(service.name.clone());
        self.snapshot
            .services
            .insert_mut(service.name.clone(), Arc::new(service));
    }

    fn remove_service(&mut self, name: &ObjectName) {
        self.snapshot.services.remove_mut(name);
        self.changes.services.insert(name.clone());
    }

    fn apply(&mut self) -> Arc<Index> {
        let changes = std::mem::take(&mut self.changes);
        self.builder.apply(&self.snapshot, &changes)
    }
}

/// The first upstream behind `/` of a host.
fn upstream(index: &Index, host: &str) -> Arc<Upstream> {
    let request = Request {
        host: &Host::parse(host.as_bytes()).unwrap(),
        path: &Path::parse("/").unwrap(),
        method: "GET",
    };
    match &index.find(request).unwrap().target {
        Target::Forward(backends) => backends[0].1.clone(),
        other => panic!("{other:?} forwards nothing"),
    }
}

fn all(label: &str) -> [Rule; 1] {
    [rule(prefix("/"), label)]
}

#[test]
fn hosts_come_change_and_go() {
    let mut cluster = Cluster::default();
    cluster.set_host("a.com", all("a"));
    cluster.set_host("b.com", all("b"));
    let first = cluster.apply();
    cluster.set_host("a.com", all("a2"));
    cluster.remove_host("b.com");
    let second = cluster.apply();
    assert_eq!(get(&second, "a.com", "/"), Some("a2"));
    assert_eq!(get(&second, "b.com", "/"), None);
    // Whoever still holds the index before sees what it saw.
    assert_eq!(get(&first, "a.com", "/"), Some("a"));
    assert_eq!(get(&first, "b.com", "/"), Some("b"));
}

#[test]
fn an_update_without_route_changes_keeps_the_index() {
    let mut cluster = Cluster::default();
    cluster.set_host("a.com", all("web"));
    let first = cluster.apply();

    cluster.set_service(service("web", [("10.0.0.1:80", READY)]));
    assert!(Arc::ptr_eq(&first, &cluster.apply()));

    cluster.set_host("a.com", all("web")); // the same again
    cluster.remove_host("never.com");
    assert!(Arc::ptr_eq(&first, &cluster.apply()));

    let mut with_tls = routes(all("web"));
    with_tls.tls = Some(Arc::new(TlsPolicy::terminate(CertificateChoice::Default)));
    let hosts = &mut cluster.snapshot.routes.hosts;
    hosts.insert_mut(exact_host("a.com"), Arc::new(with_tls));
    cluster.changes.hosts.insert(exact_host("a.com"));
    assert!(Arc::ptr_eq(&first, &cluster.apply()));
}

#[test]
fn unchanged_hosts_are_shared() {
    let mut cluster = Cluster::default();
    cluster.set_host("a.com", all("a"));
    cluster.set_host("b.com", all("b"));
    let first = cluster.apply();
    cluster.set_host("a.com", all("a2"));
    let second = cluster.apply();
    let table = |index: &Index, host| index.table(&exact_host(host)).unwrap().clone();
    assert!(Arc::ptr_eq(
        &table(&first, "b.com"),
        &table(&second, "b.com")
    ));
    assert!(!Arc::ptr_eq(
        &table(&first, "a.com"),
        &table(&second, "a.com")
    ));
}

#[test]
fn endpoints_change_in_place() {
    let mut cluster = Cluster::default();
    cluster.set_host("a.com", all("web"));
    let index = cluster.apply();
    let web = upstream(&index, "a.com");
    assert_eq!(**web.endpoints(), Endpoints::NoService);

    cluster.set_service(service("web", [("10.0.0.1:80", READY)]));
    cluster.apply();
    let expected = Endpoints::Usable([UsableEndpoint::new("10.0.0.1:80".parse().unwrap())].into());
    assert_eq!(**web.endpoints(), expected);

    cluster.set_service(service("web", []));
    cluster.apply();
    assert_eq!(**web.endpoints(), Endpoints::None);

    let mut without_ports = service("web", []);
    without_ports.ports.clear();
    cluster.set_service(without_ports);
    cluster.apply();
    assert_eq!(**web.endpoints(), Endpoints::NoPort);

    cluster.remove_service(&name("web"));
    cluster.apply();
    assert_eq!(**web.endpoints(), Endpoints::NoService);
}

#[test]
fn a_service_that_arrives_with_its_first_route_is_known() {
    let mut cluster = Cluster::default();
    cluster.set_service(service("web", [("10.0.0.1:80", READY)]));
    cluster.apply();
    cluster.set_host("a.com", all("web"));
    let web = upstream(&cluster.apply(), "a.com");
    assert!(matches!(**web.endpoints(), Endpoints::Usable(_)));
}

#[test]
fn hosts_share_upstreams_and_recompiling_keeps_them() {
    let mut cluster = Cluster::default();
    cluster.set_host("a.com", all("web"));
    cluster.set_host("b.com", all("web"));
    cluster.set_host("c.com", all("other"));
    let first = cluster.apply();
    let web = upstream(&first, "a.com");
    assert_eq!(upstream(&first, "b.com").id, web.id);
    assert_ne!(upstream(&first, "c.com").id, web.id);

    cluster.remove_host("b.com");
    cluster.set_host("a.com", [rule(prefix("/x"), "x"), rule(prefix("/"), "web")]);
    assert_eq!(upstream(&cluster.apply(), "a.com").id, web.id);
}

#[test]
fn upstreams_that_nobody_names_are_dropped() {
    let mut cluster = Cluster::default();
    let twice = [rule(prefix("/"), "web"), rule(prefix("/x"), "web")];
    cluster.set_host("a.com", twice);
    cluster.set_host("b.com", all("web"));
    let id = upstream(&cluster.apply(), "a.com").id;
    assert_eq!(cluster.builder.upstreams.len(), 1);
    cluster.remove_host("a.com");
    cluster.apply();
    assert_eq!(cluster.builder.upstreams.len(), 1);
    cluster.remove_host("b.com");
    let index = cluster.apply();
    assert_eq!(cluster.builder.upstreams.len(), 0);
    assert_eq!(get(&index, "b.com", "/"), None);
    // A later one is another one.
    cluster.set_host("a.com", all("web"));
    assert_ne!(upstream(&cluster.apply(), "a.com").id, id);
}

#[test]
fn ports_of_one_service_are_upstreams_of_their_own() {
    let mut cluster = Cluster::default();
    let mut metrics = rule(prefix("/"), "metrics");
    metrics.action = fairway_model::Action::Forward(vec![backend("web", 9090)]);
    cluster.set_host("a.com", all("web"));
    cluster.set_host("b.com", [metrics]);
    cluster.set_service(service("web", [("10.0.0.1:80", READY)]));
    let index = cluster.apply();
    assert!(matches!(
        **upstream(&index, "a.com").endpoints(),
        Endpoints::Usable(_)
    ));
    assert_eq!(**upstream(&index, "b.com").endpoints(), Endpoints::NoPort);
    assert_eq!(cluster.builder.upstreams.len(), 2);
}

#[test]
fn problems_last_as_long_as_the_rules() {
    let mut cluster = Cluster::default();
    cluster.set_host(
        "a.com",
        [rule(regex("("), "bad"), rule(prefix("/"), "good")],
    );
    cluster.set_host("b.com", all("good"));
    let index = cluster.apply();
    assert_eq!(get(&index, "a.com", "/x"), Some("good"));
    let problems = |cluster: &Cluster| cluster.builder.problems().cloned().collect::<Vec<_>>();
    let found = problems(&cluster);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&*found[0].rule.field, &found[0].host),
        ("bad", &exact_host("a.com"))
    );

    cluster.apply();
    assert_eq!(problems(&cluster), found);
    cluster.set_host("a.com", all("good"));
    cluster.apply();
    assert_eq!(problems(&cluster), []);
}

#[test]
fn a_bad_rule_holds_no_upstream() {
    let mut cluster = Cluster::default();
    cluster.set_host("a.com", [rule(regex("("), "bad")]);
    cluster.apply();
    assert_eq!(cluster.builder.upstreams.len(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    SetHost(usize, Vec<usize>),
    RemoveHost(usize),
    SetService(usize, usize),
    RemoveService(usize),
    Apply,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_usize, vec(0..4_usize, 0..3)).prop_map(|(host, services)| Step::SetHost(host, services)),
        1 => (0..4_usize).prop_map(Step::RemoveHost),
        3 => (0..4_usize, 0..3_usize).prop_map(|(service, count)| Step::SetService(service, count)),
        1 => (0..4_usize).prop_map(Step::RemoveService),
        3 => Just(Step::Apply),
    ]
}

/// Everything that matters of the route of each host and path.
fn observe(index: &Index) -> Vec<Option<(String, Endpoints)>> {
    let requests = (0..4).flat_map(|host| (0..3).map(move |path| (host, path)));
    let observed = requests.map(|(host, path)| {
        let (host, path) = (format!("h{host}"), format!("/{path}"));
        let request = Request {
            host: &Host::parse(host.as_bytes()).unwrap(),
            path: &Path::parse(&path).unwrap(),
            method: "GET",
        };
        let route = index.find(request)?;
        let Target::Forward(backends) = &route.target else {
            panic!("all rules forward");
        };
        let endpoints = backends[0].1.endpoints().as_ref().clone();
        Some((route.id.field.to_string(), endpoints))
    });
    observed.collect()
}

proptest! {
    #[test]
    fn following_changes_equals_starting_afresh(steps in vec(steps(), 0..40)) {
        const ADDRESSES: [&str; 2] = ["10.0.0.1:80", "10.0.0.2:80"];
        let mut cluster = Cluster::default();
        for step in steps {
            match step {
                Step::SetHost(host, services) => {
                    let rules = services.iter().enumerate().map(|(path, service)| {
                        rule(prefix(&format!("/{path}")), &format!("s{service}"))
                    });
                    cluster.set_host(&format!("h{host}"), rules);
                }
                Step::RemoveHost(host) => cluster.remove_host(&format!("h{host}")),
                Step::SetService(id, count) => {
                    let endpoints = ADDRESSES.into_iter().take(count).map(|address| (address, READY));
                    cluster.set_service(service(&format!("s{id}"), endpoints));
                }
                Step::RemoveService(id) => cluster.remove_service(&name(&format!("s{id}"))),
                Step::Apply => {
                    let index = cluster.apply();
                    let mut afresh = Builder::new();
                    let expected = afresh.apply(&cluster.snapshot, &Changes::everything(&cluster.snapshot));
                    prop_assert_eq!(observe(&index), observe(&expected));
                    prop_assert_eq!(cluster.builder.upstreams.len(), afresh.upstreams.len());
                }
            }
        }
    }
}

#[test]
fn unknown_names_in_the_changes_do_no_harm() {
    let mut cluster = Cluster {
        changes: Changes {
            services: BTreeSet::from([name("ghost")]),
            hosts: BTreeSet::from([exact_host("ghost.com"), HostPattern::Any]),
            node: true,
            ..Changes::default()
        },
        ..Cluster::default()
    };
    let index = cluster.apply();
    assert_eq!(get(&index, "ghost.com", "/"), None);
}
