//! Which Ingresses are ours, and what is said about their backends.

use super::*;

#[test]
fn classes_select_live() {
    let rules = rules(&[rule("a.com", &["Prefix / web"])]);
    let mut index = index(Options::default(), &ingress("web", 0, &rules));
    index.update().unwrap();
    assert_eq!(get(&index, "a.com", "/"), "404");
    let missing = "Ingress default/web spec.ingressClassName: there is no IngressClass \"fairway\"";
    assert!(
        problems(&index)[0].starts_with(missing),
        "{:?}",
        problems(&index)
    );

    assert_eq!(apply(&mut index, CLASS).hosts.len(), 1);
    assert_eq!(get(&index, "a.com", "/"), "web");
    assert!(!problems(&index)[0].starts_with(missing));
    let foreign = CLASS.replace("fairway.dev/ingress", "k8s.io/ingress-nginx");
    assert_eq!(apply(&mut index, &foreign).hosts.len(), 1);
    assert_eq!(get(&index, "a.com", "/"), "404");
    assert_eq!(problems(&index), Vec::<String>::new());
    apply(&mut index, CLASS);
    assert_eq!(get(&index, "a.com", "/"), "web");
    assert_eq!(
        delete(&mut index, Kind::IngressClass, "fairway")
            .hosts
            .len(),
        1
    );
    assert_eq!(get(&index, "a.com", "/"), "404");
}

#[test]
fn the_annotation_counts_only_without_the_field() {
    let annotated = |class: &str, spec: &str| {
        format!(
            "---\n{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: web, \
             annotations: {{kubernetes.io/ingress.class: {class}}}}}, spec: {{{spec}}}}}\n"
        )
    };
    let rules = rules(&[rule("a.com", &["Prefix / web"])]);
    let mut index = with(&[annotated("fairway", &rules)]);
    assert_eq!(get(&index, "a.com", "/"), "web");
    apply(&mut index, &annotated("nginx", &rules));
    assert_eq!(get(&index, "a.com", "/"), "404");
    apply(
        &mut index,
        &annotated("nginx", &format!("ingressClassName: fairway, {rules}")),
    );
    assert_eq!(get(&index, "a.com", "/"), "web");
    apply(
        &mut index,
        &annotated("fairway", &format!("ingressClassName: nginx, {rules}")),
    );
    assert_eq!(get(&index, "a.com", "/"), "404");
}

#[test]
fn an_ingress_without_class_is_ours_only_on_request() {
    let yaml = ingress("web", 0, &rules(&[rule("a.com", &["Prefix / web"])]));
    let yaml = yaml.replace("ingressClassName: fairway, ", "");
    for (watched, expected) in [(false, "404"), (true, "web")] {
        let options = Options {
            watch_ingress_without_class: watched,
            ..Options::default()
        };
        let mut index = index(options, &yaml);
        index.update().unwrap();
        assert_eq!(get(&index, "a.com", "/"), expected);
    }
}

#[test]
fn missing_backends_are_reported_until_they_are_there() {
    let mut index = with(&[ingress(
        "web",
        0,
        &rules(&[rule("a.com", &["Prefix / web"])]),
    )]);
    // Routed all the same: the router answers 503.
    assert_eq!(get(&index, "a.com", "/"), "web");
    let expected = "Ingress default/web spec.rules[0].http.paths[0].backend.service.name: \
                    Service \"default/web\" does not exist; answered with 503 until it does";
    assert_eq!(problems(&index), [expected]);

    let service = |port: u16| {
        let spec = format!("{{ports: [{{port: {port}}}]}}");
        format!("{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {spec}}}")
    };
    let changes = apply(&mut index, &service(8080));
    assert!(changes.hosts.is_empty());
    let expected = "Ingress default/web spec.rules[0].http.paths[0].backend.service.port: \
                    Service \"default/web\" has no port \"80\"; answered with 503";
    assert_eq!(problems(&index), [expected]);
    apply(&mut index, &service(80));
    let expected = "Ingress default/web spec.rules[0].http.paths[0].backend.service.name: no pod \
                    behind Service \"default/web\" is ready; answered with 503 until one is";
    assert_eq!(problems(&index), [expected]);
    delete(&mut index, Kind::Service, "default/web");
    assert_eq!(problems(&index).len(), 1);
    delete(&mut index, Kind::Ingress, "default/web");
    assert_eq!(problems(&index), Vec::<String>::new());
}

#[test]
fn others_ingresses_are_none_of_our_business() {
    let yaml = ingress("web", 0, &rules(&[rule("NOT A HOST", &["Prefix / web"])]));
    let mut index = with(&[yaml.replace("fairway", "nginx")]);
    assert_eq!(problems(&index), Vec::<String>::new());
    apply(&mut index, &yaml);
    assert_eq!(problems(&index).len(), 1);
}
