//! Secrets: each by its name, and none that nobody wants.

use fairway_testkit::apiserver::{Effect, Failure, Fault};

use super::*;

fn secret(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "shop" },
        "type": "kubernetes.io/tls", "data": { "tls.crt": "Y2VydA==", "tls.key": "a2V5" },
    })
}

fn want(bench: &Bench, names: &[&str]) {
    let names = names.iter().map(|name| ObjectName::new("shop", *name));
    bench.secrets.send_replace(names.collect());
}

#[tokio::test(start_paused = true)]
async fn only_what_is_wanted_is_asked_for_and_followed() {
    let mut bench = Bench::started(&both(), |server| {
        for name in ["web", "other", "password"] {
            server.apply(secret(name)).unwrap();
        }
    })
    .await;
    assert_eq!(bench.lists("secrets"), 0);
    want(&bench, &["web", "missing"]);
    let mut events = bench.after(SECOND).await;
    events.sort();
    assert_eq!(events, ["+ Secret web", "- Secret shop/missing"]);
    bench.server.apply(secret("missing")).unwrap();
    assert_eq!(bench.after(SECOND).await, ["+ Secret missing"]);
    bench.server.delete("Secret", "shop", "web");
    assert_eq!(bench.after(SECOND).await, ["- Secret shop/web"]);
    // The server refuses whatever does not name one Secret.
    for request in bench.server.requests() {
        if request.resource == "secrets" {
            let path = &request.path;
            assert!(
                path.starts_with("/api/v1/namespaces/shop/secrets?"),
                "{path}"
            );
            assert!(path.contains("fieldSelector=metadata.name%3D"), "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_any_more_is_not_followed_any_more() {
    let mut bench = Bench::started(&both(), |server| {
        server.apply(secret("web")).unwrap();
        server.apply(secret("other")).unwrap();
    })
    .await;
    want(&bench, &["web", "other"]);
    assert_eq!(bench.after(SECOND).await.len(), 2);
    assert_eq!(bench.server.watchers("secrets"), 2);
    want(&bench, &["other"]);
    assert_eq!(bench.after(SECOND).await, [""; 0]);
    assert_eq!(bench.server.watchers("secrets"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_of_the_secret_and_ends_by_itself() {
    let mut bench = Bench::started(&both(), |server| {
        server.apply(secret("web")).unwrap();
        server.inject(Fault::forbid("secrets"));
    })
    .await;
    want(&bench, &["web"]);
    let events = bench.raw(SECOND).await;
    let Some(Event::Unavailable(Kind::Secret, name, why)) = events.first() else {
        panic!("{events:?}");
    };
    assert_eq!(*name, ObjectName::new("shop", "web"));
    assert!(why.contains("resourceNames: [\"web\"]"), "{why}");
    bench.server.heal();
    let events = bench.raw(HOUR).await;
    assert!(matches!(events.last(), Some(Event::Apply(_))), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_away_takes_no_secret_with_it() {
    let mut bench = Bench::started(&both(), |server| {
        server.apply(secret("web")).unwrap();
    })
    .await;
    want(&bench, &["web"]);
    assert_eq!(bench.after(SECOND).await, ["+ Secret web"]);
    bench
        .server
        .inject(Fault::new(Effect::Disconnect).of("secrets"));
    bench.server.drop_connections();
    assert_eq!(bench.after(HOUR).await, [""; 0]);
    let mut changed = secret("web");
    changed["data"]["tls.crt"] = json!("bmV3");
    bench.server.apply(changed).unwrap();
    bench.server.heal();
    let events = bench.after(HOUR).await;
    assert_eq!(events.last().map(String::as_str), Some("+ Secret web"));
}

/// kube says nothing when a watch begins, so that only a list can tell that all is well again.
#[tokio::test(start_paused = true)]
async fn a_watch_that_is_refused_for_a_while_leaves_no_secret_unavailable() {
    let mut bench = Bench::started(&both(), |server| {
        server.apply(secret("web")).unwrap();
    })
    .await;
    want(&bench, &["web"]);
    assert_eq!(bench.after(SECOND).await, ["+ Secret web"]);
    let busy = Effect::Answer(Failure::internal("starting"));
    for refusal in [Fault::forbid("secrets"), Fault::new(busy).of("secrets")] {
        bench.server.inject(refusal.on(Verb::Watch));
        bench.server.drop_connections();
        let events = bench.raw(HOUR).await;
        let unavailable = |event| matches!(event, &Event::Unavailable(Kind::Secret, ..));
        assert!(!events.is_empty(), "it is told");
        assert!(events.iter().all(unavailable), "{events:?}");
        let lists = bench.lists("secrets");
        bench.server.heal();
        let events = bench.raw(HOUR).await;
        assert!(matches!(events.last(), Some(Event::Apply(_))), "{events:?}");
        assert_eq!(bench.lists("secrets"), lists + 1);
    }
}
