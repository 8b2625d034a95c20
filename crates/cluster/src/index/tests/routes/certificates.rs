//! What is said of hosts' certificates follows the hosts, in whatever order Ingresses come and go.

use fairway_model::{ClientAuthPolicy, RoutePolicies, RoutePolicy, SecretRef};
use fairway_testkit::certificates::Authority;

use super::*;
use crate::{HostCertificates, News, Reason};

fn with_tls(name: &str, age: u32, hosts: &[&str], secret: &str) -> String {
    let served: Vec<String> = hosts
        .iter()
        .map(|host| rule(host, &["Prefix / web"]))
        .collect();
    let tls = format!("tls: [{{hosts: {hosts:?}, secretName: {secret}}}]");
    ingress(name, age, &format!("{}, {tls}", rules(&served)))
}

fn told(index: &Index, beginning: &str) -> Vec<String> {
    let mut lines = problems(index);
    lines.retain(|line| line.starts_with(beginning));
    lines
}

/// Found by a fuzzer: the Secret that has lost a host was not looked at again.
#[test]
fn a_missing_secret_is_told_of_the_hosts_that_still_need_it() {
    let mut index = with(&[with_tls("young", 20, &["a.com", "b.com"], "young")]);
    assert_eq!(
        told(&index, "Secret "),
        [
            "Secret default/young does not exist; a.com, b.com are served with the default certificate until it does"
        ]
    );
    apply(&mut index, &with_tls("old", 10, &["b.com"], "old"));
    assert_eq!(
        told(&index, "Secret "),
        [
            "Secret default/old does not exist; b.com is served with the default certificate until it does",
            "Secret default/young does not exist; a.com is served with the default certificate until it does",
        ]
    );
    delete(&mut index, Kind::Ingress, "default/old");
    assert!(told(&index, "Secret ")[0].contains("a.com, b.com are served"));
}

#[test]
fn a_certificate_for_others_is_told_of_the_ingress_that_is_served() {
    let issued = Authority::new("root")
        .unwrap()
        .server(&["other.com"])
        .unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "tls"},
        "stringData": {"tls.crt": issued.chain, "tls.key": issued.key},
    });
    let mut index = with(&[
        with_tls("young", 20, &["a.com"], "tls"),
        format!("---\n{secret}\n"),
    ]);
    let mismatch = |name: &str| {
        format!(
            "Ingress default/{name} spec.tls: the certificate of Secret default/tls is for other.com, not for \
             \"a.com\"; the default certificate is served"
        )
    };
    let mismatches = |index: &Index| {
        let mut lines = told(index, "Ingress ");
        lines.retain(|line| line.contains(" is for "));
        lines
    };
    assert_eq!(mismatches(&index), [mismatch("young")]);
    // With the same certificate, and older.
    apply(&mut index, &with_tls("old", 10, &["a.com"], "tls"));
    assert_eq!(mismatches(&index), [mismatch("old")]);
    delete(&mut index, Kind::Ingress, "default/old");
    assert_eq!(mismatches(&index), [mismatch("young")]);
    // Older, and without any.
    let plain = rules(&[rule("a.com", &["Prefix /plain web"])]);
    apply(&mut index, &ingress("plain", 10, &plain));
    assert_eq!(mismatches(&index), [mismatch("young")]);
    // Without a path: routes stay what they were.
    let listed = "rules: [{host: a.com}], tls: [{hosts: [a.com], secretName: tls}]";
    apply(&mut index, &ingress("bare", 10, listed));
    assert_eq!(mismatches(&index), [mismatch("bare")]);
    delete(&mut index, Kind::Ingress, "default/bare");
    assert_eq!(mismatches(&index), [mismatch("young")]);
}

/// Owners look at their Ingress: a Secret that does not exist cannot be looked at.
#[test]
fn what_is_wrong_with_a_secret_is_told_of_every_ingress_that_names_it() {
    let mut index = with(&[
        with_tls("a", 10, &["a.com", "b.com"], "tls"),
        with_tls("b", 20, &["b.com"], "tls"),
        with_tls("other", 30, &["c.com"], "other"),
        ingress(
            "plain",
            40,
            &rules(&[rule("a.com", &["Prefix /plain web"])]),
        ),
    ]);
    let news = |index: &mut Index, secret: &str| -> Vec<(String, String)> {
        let secret = format!("Secret default/{secret} ");
        let news = index.take_news().filter_map(|news| match news {
            News::Problem(problem) if problem.reason == Reason::SecretNotFound => {
                Some((problem.object.to_string(), problem.message))
            }
            _ => None,
        });
        news.filter(|(_, message)| message.starts_with(&secret))
            .collect()
    };
    let missing = "Secret default/tls does not exist; a.com, b.com are served with the default certificate until it does";
    let at = |name: &str| (format!("Ingress default/{name}"), missing.to_owned());
    assert_eq!(news(&mut index, "tls"), [at("a"), at("b")]);
    // It changes nothing of what is wrong.
    apply(&mut index, &with_tls("late", 50, &["b.com"], "tls"));
    assert_eq!(news(&mut index, "tls"), [at("late")]);
    apply(&mut index, &with_tls("late", 50, &["b.com"], "tls"));
    assert_eq!(news(&mut index, "tls"), []);
}

#[test]
fn the_default_certificate_is_told_of_its_secret() {
    let options = Options {
        default_certificate: Some(ObjectName::new("default", "tls")),
        ..Options::default()
    };
    let mut index = index(options, CLASS);
    index.update().unwrap();
    let news: Vec<_> = index.take_news().collect();
    let [News::Problem(problem)] = &news[..] else {
        panic!("{news:?}");
    };
    assert_eq!(problem.object.to_string(), "Secret default/tls");
}

/// What was known of a Secret also serves who comes to need it only then.
#[test]
fn a_secret_that_cannot_be_had_any_more_still_gives_what_it_gave() {
    let issued = Authority::new("root").unwrap().server(&["a.com"]).unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "tls"},
        "stringData": {"tls.crt": issued.chain, "tls.key": issued.key, "ca.crt": issued.chain},
    });
    let mut index = with(&[
        with_tls("web", 10, &["a.com"], "tls"),
        format!("---\n{secret}\n"),
    ]);
    let name = ObjectName::new("default", "tls");
    for _ in 0..2 {
        let why = "the server is busy".to_owned();
        index.apply(Event::Unavailable(Kind::Secret, name.clone(), why));
        index.update();
    }
    let mut policy = RoutePolicy::default();
    policy.settings.tls.client_auth = Some(Some(ClientAuthPolicy {
        authorities: SecretRef(name.clone()),
        optional: false,
    }));
    index.set_policies(RoutePolicies::new(vec![policy]));
    index.update().unwrap();
    assert_eq!(
        told(&index, "Secret ")[0],
        "Secret default/tls cannot be had: the server is busy; its last good certificate stays in use"
    );
    let host = HostPattern::Exact("a.com".into());
    let tls = index.snapshot.routes.hosts[&host].tls.clone().unwrap();
    let resolved = index.certificates().resolve(&host, &tls);
    let HostCertificates::Terminate {
        certificate: Some(_),
        client_auth: Some(_),
    } = resolved
    else {
        panic!("{resolved:?}");
    };
}
