//! Several Ingresses on one host.

use fairway_model::{Backend, BackendPort};

use super::*;

#[test]
fn ingresses_share_a_host_and_the_oldest_keeps_a_path() {
    let one = |paths: &[&str]| rules(&[rule("a.com", paths)]);
    let young = ingress("a-young", 30, &one(&["Prefix / young", "Prefix /y young"]));
    let old = ingress("z-old", 10, &one(&["Prefix / old"]));
    let middle = ingress("middle", 20, &one(&["Prefix / middle", "Exact / exact"]));
    let mut index = with(&[young, old.clone(), middle]);
    let conflicts = |index: &Index| -> Vec<String> {
        let lines = problems(index).into_iter();
        lines
            .filter(|line| line.contains("already served"))
            .collect()
    };
    assert_eq!(get(&index, "a.com", "/x"), "old");
    assert_eq!(get(&index, "a.com", "/"), "exact");
    assert_eq!(get(&index, "a.com", "/y/z"), "young");
    assert_eq!(
        conflicts(&index),
        [
            "Ingress default/a-young spec.rules[0].http.paths[0]: a.com \"/\" is already served by \
             Ingress default/z-old (spec.rules[0].http.paths[0]); the oldest keeps it",
            "Ingress default/middle spec.rules[0].http.paths[0]: a.com \"/\" is already served by \
             Ingress default/z-old (spec.rules[0].http.paths[0]); the oldest keeps it",
        ]
    );

    // The next is promoted at once.
    let changes = delete(&mut index, Kind::Ingress, "default/z-old");
    assert_eq!(changes.hosts, [HostPattern::Exact("a.com".into())].into());
    assert_eq!(get(&index, "a.com", "/x"), "middle");
    assert_eq!(conflicts(&index).len(), 1);
    assert!(conflicts(&index)[0].contains("by Ingress default/middle"));

    // Created anew, it comes last.
    apply(&mut index, &old.replace("00:10Z", "00:40Z"));
    assert_eq!(get(&index, "a.com", "/x"), "middle");
    delete(&mut index, Kind::Ingress, "default/middle");
    delete(&mut index, Kind::Ingress, "default/z-old");
    assert_eq!(get(&index, "a.com", "/x"), "young");
    assert_eq!(conflicts(&index), Vec::<String>::new());

    // Of the same age, the first by name wins.
    apply(&mut index, &old.replace("00:10Z", "00:30Z"));
    assert_eq!(get(&index, "a.com", "/x"), "young");
    assert_eq!(
        delete(&mut index, Kind::Ingress, "default/a-young")
            .hosts
            .len(),
        1
    );
    assert_eq!(get(&index, "a.com", "/x"), "old");
    delete(&mut index, Kind::Ingress, "default/z-old");
    assert_eq!(index.snapshot.routes.hosts.size(), 0);
}

#[test]
fn a_path_named_twice_in_one_ingress_goes_to_the_first() {
    let paths = [
        "Prefix /x one",
        "ImplementationSpecific /x two",
        "Exact /x three",
    ];
    let index = with(&[ingress("web", 0, &rules(&[rule("a.com", &paths)]))]);
    assert_eq!(get(&index, "a.com", "/x/y"), "one");
    assert_eq!(get(&index, "a.com", "/x"), "three");
    let conflicts = problems(&index)
        .into_iter()
        .filter(|line| line.contains("already served"));
    assert_eq!(conflicts.count(), 1);
}

/// They match the same requests, and the longer text would win.
#[test]
fn a_slash_at_the_end_makes_no_other_prefix() {
    let one = |paths: &[&str]| rules(&[rule("a.com", paths)]);
    let conflicts = |index: &Index| {
        let lines = problems(index).into_iter();
        lines
            .filter(|line| line.contains("already served"))
            .collect::<Vec<_>>()
    };
    for (older, younger) in [("/api", "/api/"), ("/api/", "/api"), ("/api", "/api//")] {
        let old = ingress("z-old", 10, &one(&[&format!("Prefix {older} old")]));
        let young = format!("ImplementationSpecific {younger} young");
        let mut index = with(&[old, ingress("a-young", 20, &one(&[&young]))]);
        for path in ["/api", "/api/", "/api/x"] {
            assert_eq!(get(&index, "a.com", path), "old", "{older} {younger}");
        }
        assert_eq!(
            conflicts(&index),
            [format!(
                "Ingress default/a-young spec.rules[0].http.paths[0]: a.com \"{younger}\" is already served by \
                 Ingress default/z-old (spec.rules[0].http.paths[0]); the oldest keeps it"
            )]
        );
        delete(&mut index, Kind::Ingress, "default/z-old");
        assert!(conflicts(&index).is_empty());
    }
    // To an exact path it matters, and one Ingress may have both.
    let exact = ["Exact /api exact", "Exact /api/ slash"];
    let both = [
        "Prefix /api/ longer",
        "Prefix /api shorter",
        "Prefix /api third",
    ];
    let index = with(&[
        ingress("old", 10, &one(&both)),
        ingress("young", 20, &one(&exact)),
    ]);
    assert_eq!(get(&index, "a.com", "/api/"), "slash");
    assert_eq!(get(&index, "a.com", "/api/x"), "longer");
    let conflicts = conflicts(&index);
    assert_eq!(conflicts.len(), 1);
    assert!(conflicts[0].starts_with("Ingress default/old spec.rules[0].http.paths[2]"));
}

#[test]
fn default_backends() {
    let host = |host: &str| rule(host, &["Prefix /x x"]);
    let both = |name, age, rules: &str, service| {
        ingress(name, age, &format!("{rules}, {}", default(service)))
    };
    let yaml = [
        both("a", 20, &rules(&[host("a.com")]), "default-a"),
        both("b", 10, &rules(&[host("b.com")]), "default-b"),
        // Known through a rule without paths.
        both("bare", 15, "rules: [{host: bare.com}]", "default-bare"),
        ingress(
            "none",
            5,
            &rules(&[rule("a.com", &["Prefix /none none"]), host("c.com")]),
        ),
    ];
    let mut index = with(&yaml);
    assert_eq!(get(&index, "a.com", "/x"), "x");
    assert_eq!(get(&index, "a.com", "/y"), "default-a");
    assert_eq!(get(&index, "b.com", "/y"), "default-b");
    assert_eq!(get(&index, "bare.com", "/y"), "default-bare");
    assert_eq!(get(&index, "c.com", "/y"), "404");
    assert_eq!(get(&index, "unknown.com", "/y"), "404");

    // The oldest on the host that has one.
    apply(
        &mut index,
        &both("old", 1, &rules(&[host("a.com")]), "default-old"),
    );
    assert_eq!(get(&index, "a.com", "/y"), "default-old");
    let losing = "Ingress default/a spec.defaultBackend: a.com has that of Ingress default/old";
    let found = problems(&index);
    assert!(
        found.iter().any(|line| line.starts_with(losing)),
        "{found:?}"
    );

    // A catch-all is for unknown hosts only, and of two the oldest counts.
    apply(&mut index, &ingress("catch-young", 50, &default("young")));
    assert_eq!(get(&index, "unknown.com", "/y"), "young");
    assert_eq!(get(&index, "c.com", "/y"), "404");
    apply(&mut index, &ingress("catch-old", 40, &default("old")));
    assert_eq!(get(&index, "unknown.com", "/y"), "old");
    delete(&mut index, Kind::Ingress, "default/catch-old");
    assert_eq!(get(&index, "unknown.com", "/y"), "young");
}

#[test]
fn a_default_backend_without_its_service_gives_way() {
    let service = |name: &str| {
        format!("---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}}}\n")
    };
    let mut index = with(&[
        ingress("old", 1, &default("old")),
        ingress("young", 2, &default("young")),
    ]);
    // Neither exists: the oldest says what is missing.
    assert_eq!(get(&index, "any", "/"), "old");
    assert_eq!(
        apply(&mut index, &service("young")).hosts,
        [HostPattern::Any].into()
    );
    assert_eq!(get(&index, "any", "/"), "young");
    let told = problems(&index);
    let losing = "Ingress default/old spec.defaultBackend: * has that of Ingress default/young";
    assert!(told.iter().any(|line| line.starts_with(losing)), "{told:?}");

    apply(&mut index, &service("old"));
    assert_eq!(get(&index, "any", "/"), "old");
    delete(&mut index, Kind::Service, "default/old");
    assert_eq!(get(&index, "any", "/"), "young");
    delete(&mut index, Kind::Service, "default/young");
    assert_eq!(get(&index, "any", "/"), "old");
}

#[test]
fn the_controllers_default_backend_comes_last() {
    let options = Options {
        default_backend: Some(Backend {
            service: ObjectName::new("system", "last"),
            port: BackendPort::Name("http".into()),
            weight: 1,
        }),
        ..Options::default()
    };
    let own = format!(
        "{}, {}",
        rules(&[rule("a.com", &["Prefix /x x"])]),
        default("own")
    );
    let yaml = [
        CLASS.to_owned(),
        ingress("a", 0, &own),
        ingress("b", 0, &rules(&[rule("b.com", &["Prefix /x x"])])),
    ];
    let mut index = index(options, &yaml.concat());
    index.update().unwrap();
    assert_eq!(get(&index, "a.com", "/y"), "own");
    assert_eq!(get(&index, "b.com", "/y"), "last");
    assert_eq!(get(&index, "unknown.com", "/y"), "last");
    apply(
        &mut index,
        &ingress("all", 0, &rules(&[rule("", &["Prefix /x any"])])),
    );
    assert_eq!(get(&index, "unknown.com", "/x"), "any");
    delete(&mut index, Kind::Ingress, "default/all");
    assert_eq!(get(&index, "unknown.com", "/x"), "last");

    let said = |index: &Index| {
        let lines = problems(index).into_iter();
        lines
            .filter(|line| line.starts_with("Service "))
            .collect::<Vec<_>>()
    };
    let service = "Service system/last --default-backend-service:";
    assert_eq!(
        said(&index),
        [format!(
            "{service} Service \"system/last\" does not exist; answered with 503 until it does"
        )]
    );
    let last = "---\n{apiVersion: v1, kind: Service, metadata: {namespace: system, name: last}, \
                spec: {clusterIP: 10.96.0.1, ports: [{name: other, port: 80}]}}\n";
    apply(&mut index, last);
    assert_eq!(
        said(&index),
        [format!(
            "{service} Service \"system/last\" has no port \"http\"; answered with 503"
        )]
    );
    apply(&mut index, &last.replace("other", "http"));
    assert!(said(&index)[0].contains("no pod behind"));
    delete(&mut index, Kind::Service, "system/last");
    assert!(said(&index)[0].contains("does not exist"));
}

#[test]
fn the_oldest_certificate_of_a_host_counts() {
    let tls = |name: &str, age, secret: &str| {
        let rules = rules(&[rule("a.com", &[&format!("Prefix /{name} {name}")])]);
        ingress(
            name,
            age,
            &format!("{rules}, tls: [{{hosts: [a.com], secretName: {secret}}}]"),
        )
    };
    let mut index = with(&[tls("young", 2, "second"), tls("old", 1, "first")]);
    let certificate = |index: &Index| {
        let host = &index.snapshot.routes.hosts[&HostPattern::Exact("a.com".into())];
        let tls = host.tls.as_ref().expect("TLS");
        let mut secrets = tls.secrets();
        secrets.next().expect("a Secret").0.to_string()
    };
    assert_eq!(certificate(&index), "default/first");
    let losing = "Ingress default/young spec.tls: a.com has the certificate of Ingress default/old";
    let found = problems(&index);
    assert!(
        found.iter().any(|line| line.starts_with(losing)),
        "{found:?}"
    );
    delete(&mut index, Kind::Ingress, "default/old");
    assert_eq!(certificate(&index), "default/second");
}

#[test]
fn an_ingress_that_is_being_deleted_gives_way() {
    let web = ingress("web", 0, &default("web"));
    let mut index = with(&[web.clone(), ingress("next", 1, &default("next"))]);
    assert_eq!(get(&index, "any", "/"), "web");
    let deleted = "deletionTimestamp: '2026-02-01T00:00:00Z', creationTimestamp";
    apply(&mut index, &web.replace("creationTimestamp", deleted));
    assert_eq!(get(&index, "any", "/"), "next");
}
