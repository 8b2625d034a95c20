use fairway_model::PathMatch;

use super::*;
use crate::Object;
use crate::manifests::objects;

fn convert(spec: &str) -> Ingress {
    let ingress = convert_object(&format!("metadata: {{name: web}}, spec: {spec}"));
    ingress.expect("not being deleted")
}

fn convert_object(fields: &str) -> Option<Ingress> {
    let objects = objects(&format!(
        "{{apiVersion: networking.k8s.io/v1, kind: Ingress, {fields}}}"
    ));
    let [Object::Ingress(object)] = objects.as_slice() else {
        panic!("one Ingress, not {objects:?}");
    };
    ingress(
        object,
        &ObjectName::new("default", "web"),
        &mut Interner::default(),
    )
}

fn problems(ingress: &Ingress) -> Vec<String> {
    let lines = ingress.problems.iter().map(ToString::to_string);
    lines
        .map(|line| line.replacen("Ingress default/web ", "", 1))
        .collect()
}

fn hosts(ingress: &Ingress) -> Vec<String> {
    ingress.hosts().map(ToString::to_string).collect()
}

const BACKEND: &str = "backend: {service: {name: web, port: {number: 80}}}";

#[test]
fn classes() {
    let with = |metadata: &str, spec: &str| {
        let fields = format!("metadata: {{name: web{metadata}}}, spec: {{{spec}}}");
        convert_object(&fields).unwrap().class
    };
    let annotation = ", annotations: {kubernetes.io/ingress.class: old}";
    assert_eq!(with("", ""), Class::None);
    assert_eq!(
        with("", "ingressClassName: new"),
        Class::Field("new".into())
    );
    assert_eq!(with(annotation, ""), Class::Annotation("old".into()));
    assert_eq!(
        with(annotation, "ingressClassName: new"),
        Class::Field("new".into())
    );
    assert_eq!(
        with(annotation, "ingressClassName: ''"),
        Class::Annotation("old".into())
    );
}

#[test]
fn one_that_is_being_deleted_is_gone() {
    let fields = "metadata: {name: web, deletionTimestamp: '2026-01-01T00:00:00Z'}";
    assert_eq!(convert_object(fields), None);
}

#[test]
fn rules_of_one_host_come_together() {
    let ingress = convert(&format!(
        "{{rules: [{{host: a.com, http: {{paths: [{{path: /x, pathType: Exact, {BACKEND}}}]}}}}, \
          {{host: a.com, http: {{paths: [{{path: /y, pathType: Prefix, {BACKEND}}}]}}}}, \
          {{host: '*.a.com'}}, {{http: {{paths: [{{pathType: ImplementationSpecific, {BACKEND}}}]}}}}]}}"
    ));
    assert_eq!(problems(&ingress), Vec::<String>::new());
    assert_eq!(hosts(&ingress), ["a.com", "*.a.com", "*"]);
    let rules = &ingress.hosts[0].1.rules;
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| (&*rule.id.field, &rule.matches.path))
        .collect();
    assert_eq!(
        rules,
        [
            (
                "spec.rules[0].http.paths[0]",
                &PathMatch::Exact("/x".into())
            ),
            (
                "spec.rules[1].http.paths[0]",
                &PathMatch::Prefix("/y".into())
            ),
        ]
    );
    let any = &ingress.host(&HostPattern::Any).unwrap().rules[0];
    assert_eq!(any.matches.path, PathMatch::Prefix("/".into()));
}

#[test]
fn only_a_default_backend_means_every_host() {
    let ingress = convert("{defaultBackend: {service: {name: web, port: {name: http}}}}");
    assert_eq!(hosts(&ingress), ["*"]);
    let Action::Forward(backends) = ingress.default.unwrap().action else {
        panic!("forwards")
    };
    assert_eq!(backends[0].service, ObjectName::new("default", "web"));
    assert_eq!(backends[0].port, BackendPort::Name("http".into()));
}

#[test]
fn invalid_hosts_take_only_their_rule_along() {
    let rule = |host: &str| {
        format!("{{host: '{host}', http: {{paths: [{{path: /, pathType: Prefix, {BACKEND}}}]}}}}")
    };
    let long = "a".repeat(300);
    for host in ["Shop.com", "10.0.0.1", "a.*.com", &long] {
        let ingress = convert(&format!("{{rules: [{}, {}]}}", rule(host), rule("a.com")));
        assert_eq!(hosts(&ingress), ["a.com"], "{host}");
        let problems = problems(&ingress);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with("spec.rules[0].host: \""),
            "{problems:?}"
        );
        assert!(problems[0].len() < 200, "{problems:?}");
    }
}

#[test]
fn invalid_paths_are_left_out() {
    for (path, said) in [
        (
            "path: foo, pathType: Prefix",
            "spec.rules[0].http.paths[0].path: \"foo\" does not start",
        ),
        (
            "path: /a//b, pathType: Exact",
            "spec.rules[0].http.paths[0].path: \"/a//b\" contains",
        ),
        (
            "pathType: Prefix",
            "spec.rules[0].http.paths[0].path: \"\" does not start",
        ),
        (
            "path: /, pathType: Regex",
            "spec.rules[0].http.paths[0].pathType: \"Regex\" is none",
        ),
        (
            "path: /",
            "spec.rules[0].http.paths[0].pathType: \"\" is none",
        ),
    ] {
        let ingress = convert(&format!(
            "{{rules: [{{http: {{paths: [{{{path}, {BACKEND}}}, {{path: /ok, pathType: Exact, {BACKEND}}}]}}}}]}}"
        ));
        assert_eq!(
            ingress.host(&HostPattern::Any).unwrap().rules.len(),
            1,
            "{path}"
        );
        assert!(
            problems(&ingress)[0].starts_with(said),
            "{:?}",
            problems(&ingress)
        );
    }
}

#[test]
fn backends_that_mean_nothing_answer_themselves() {
    for (backend, status, said) in [
        (
            "resource: {apiGroup: example.com, kind: Bucket, name: static}",
            404,
            "backend.resource: backends of kind \"Bucket\"",
        ),
        (
            "service: {name: web}",
            503,
            "backend.service.port: 0 is not a port",
        ),
        (
            "service: {name: web, port: {number: 70000}}",
            503,
            "backend.service.port: 70000",
        ),
        (
            "service: {name: '', port: {number: 80}}",
            503,
            "backend.service.name: \"\"",
        ),
        (
            "service: {name: ns2/web, port: {number: 80}}",
            503,
            "backend.service.name: \"ns2/web\"",
        ),
        ("", 503, "backend: names no Service"),
    ] {
        let ingress = convert(&format!(
            "{{defaultBackend: {{{backend}}}, \
              rules: [{{http: {{paths: [{{path: /, pathType: Prefix, backend: {{{backend}}}}}]}}}}]}}"
        ));
        let rule = &ingress.host(&HostPattern::Any).unwrap().rules[0];
        assert_eq!(rule.action, Action::Respond(status), "{backend}");
        assert_eq!(ingress.default, None, "{backend}");
        let problems = problems(&ingress);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[1].contains(said), "{problems:?}");
    }
}

#[test]
fn certificates_go_to_the_hosts_that_list_them() {
    let ingress = convert(
        "{rules: [{host: a.com}, {host: b.a.com}, {host: c.com}, {host: '*.a.com'}], tls: [\
         {hosts: [a.com, '*.a.com'], secretName: first}, {hosts: [a.com], secretName: second}, \
         {hosts: [other.com], secretName: third}]}",
    );
    let certificates: Vec<_> = ingress
        .hosts
        .iter()
        .map(|(host, part)| {
            let listed = part.tls.iter().filter(|tls| tls.lists_host());
            let mut secrets = listed.flat_map(|tls| tls.secrets());
            (
                host.to_string(),
                secrets.next().map(|secret| secret.0.to_string()),
            )
        })
        .collect();
    let first = || Some("default/first".to_owned());
    assert_eq!(
        certificates,
        [
            ("a.com".to_owned(), first()),
            ("b.a.com".to_owned(), first()),
            ("c.com".to_owned(), None),
            ("*.a.com".to_owned(), first()),
        ]
    );
    let ingress = convert("{rules: [{host: a.com}], tls: [{hosts: [a.com]}]}");
    let part = &ingress.hosts[0].1;
    let default = TlsPolicy::terminate(CertificateChoice::Default);
    assert_eq!(part.tls.as_deref(), Some(&default));
}
