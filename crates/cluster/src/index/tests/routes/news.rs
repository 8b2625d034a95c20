//! What owners of Ingresses are told.

use super::*;
use crate::{Accepted, News};

const SLICE: &str = "---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, \
    metadata: {name: a-1, labels: {kubernetes.io/service-name: a}}, \
    addressType: IPv4, ports: [{name: '', port: 8080}], \
    endpoints: [{addresses: [10.0.0.1], conditions: {ready: READY}}]}\n";

fn backend() -> String {
    "rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, \
     backend: {service: {name: a, port: {number: 80}}}}]}}]"
        .to_owned()
}

fn service() -> &'static str {
    "---\n{apiVersion: v1, kind: Service, metadata: {name: a}, \
     spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}\n"
}

fn accepted(news: impl Iterator<Item = News>) -> Vec<(String, usize)> {
    let accepted = news.filter_map(|news| match news {
        News::Accepted(Accepted { name, hosts }) => Some((name.to_string(), hosts)),
        News::Problem(_) | News::Over(_) => None,
    });
    accepted.collect()
}

#[test]
fn a_service_without_endpoints_is_told_for_as_long_as_it_has_none() {
    let yaml = format!("{CLASS}{}{}", service(), ingress("a", 1, &backend()));
    let mut index = index(Options::default(), &yaml);
    index.update();
    let missing = "Ingress default/a spec.rules[0].http.paths[0].backend.service.name: no pod behind \
                   Service \"default/a\" is ready; answered with 503 until one is";
    assert_eq!(problems(&index), [missing]);
    apply(&mut index, &SLICE.replace("READY", "true"));
    assert_eq!(problems(&index), [""; 0]);
    apply(&mut index, &SLICE.replace("READY", "false"));
    assert_eq!(problems(&index), [missing]);
    let serving = SLICE.replace(
        "ready: READY",
        "ready: false, serving: true, terminating: true",
    );
    apply(&mut index, &serving);
    assert_eq!(problems(&index), [""; 0]);
    delete(&mut index, Kind::EndpointSlice, "default/a-1");
    assert_eq!(problems(&index), [missing]);
}

#[test]
fn an_ingress_is_accepted_once_for_what_it_says() {
    let yaml = format!("{CLASS}{}", ingress("a", 1, &backend()));
    let mut index = index(Options::default(), &yaml);
    index.update();
    // Whoever led before has told of it.
    assert_eq!(accepted(index.take_news()), []);
    apply(&mut index, &ingress("b", 2, &backend()));
    assert_eq!(accepted(index.take_news()), [("default/b".to_owned(), 1)]);
    apply(&mut index, &ingress("b", 2, &backend()));
    apply(&mut index, service());
    assert_eq!(accepted(index.take_news()), []);
    let changed = backend().replace("a.example", "b.example");
    apply(&mut index, &ingress("b", 2, &changed));
    assert_eq!(accepted(index.take_news()), [("default/b".to_owned(), 1)]);
    let others = ingress("c", 3, &backend()).replace("fairway", "nginx");
    apply(&mut index, &others);
    delete(&mut index, Kind::Ingress, "default/b");
    assert_eq!(accepted(index.take_news()), []);
}

#[test]
fn a_secret_that_no_list_has_is_missing_whichever_comes_first() {
    let tls = format!(
        "tls: [{{hosts: [a.example], secretName: a}}], {}",
        backend()
    );
    let yaml = format!("{CLASS}{}{}", service(), ingress("a", 1, &tls));
    let missing = |index: &Index| {
        let problems = index.problems();
        let secrets = problems.filter(|problem| problem.object.kind == "Secret");
        secrets.map(ToString::to_string).collect::<Vec<_>>()
    };
    let expected = "Secret default/a does not exist; a.example is served with the default \
                    certificate until it does";
    for look_between in [false, true] {
        let mut index = Index::new(Options::default());
        let lists = super::super::lists(crate::manifests::objects(&yaml));
        let (secrets, others): (Vec<_>, Vec<_>) =
            lists.partition(|event| matches!(event, Event::Replace(Kind::Secret, _)));
        for event in others {
            index.apply(event);
        }
        if look_between {
            assert!(index.update().is_none(), "there may be a certificate");
            assert_eq!(missing(&index), [""; 0]);
        }
        for event in secrets {
            index.apply(event);
        }
        assert!(index.update().is_some());
        assert_eq!(missing(&index), [expected]);
    }
}
