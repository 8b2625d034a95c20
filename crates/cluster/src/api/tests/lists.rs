use fairway_testkit::apiserver::{Effect, Failure, Fault};

use super::*;

fn many(server: &ApiServer) {
    for index in 0..1200 {
        server.apply(service(&format!("s{index:04}"))).unwrap();
    }
}

fn replaced(events: &[Event]) -> Vec<usize> {
    let lengths = events.iter().filter_map(|event| match event {
        Event::Replace(Kind::Service, objects) => Some(objects.len()),
        _ => None,
    });
    lengths.collect()
}

#[tokio::test(start_paused = true)]
async fn every_kind_is_listed_once() {
    let mut bench = Bench::start(&both(), |server| {
        server.apply(service("web")).unwrap();
        for node in ["node-1", "node-2"] {
            server.apply(cluster_scoped("v1", "Node", node)).unwrap();
        }
        server
            .apply(cluster_scoped(
                "networking.k8s.io/v1",
                "ServiceCIDR",
                "kubernetes",
            ))
            .unwrap();
    });
    let mut events = bench.after(HOUR).await;
    events.sort();
    let expected = [
        "= EndpointSlice",
        "= Ingress",
        "= IngressClass",
        "= Node node-1",
        "= Service web",
        "= ServiceCIDR kubernetes",
    ];
    assert_eq!(events, expected);
    assert_eq!(bench.lists("services"), 1);
    assert!(
        bench.server.count(Verb::Watch, "services") > 10,
        "watches end and begin again in silence"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_asked_for_is_replaced_by_nothing() {
    let mut bench = Bench::start(&service_proxy_only(), |_| {});
    assert_eq!(bench.after(SECOND).await.len(), Kind::LISTED.len());
    assert_eq!(bench.lists("ingresses") + bench.lists("ingressclasses"), 0);
    assert_eq!(bench.lists("servicecidrs"), 1);

    let router = Options {
        service_proxy: false,
        ..both()
    };
    let mut bench = Bench::start(&router, |_| {});
    assert_eq!(bench.after(SECOND).await.len(), Kind::LISTED.len());
    assert_eq!(bench.lists("servicecidrs"), 0);
    assert_eq!(bench.lists("ingresses"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_in_pages_is_published_whole() {
    let mut bench = Bench::start(&both(), many);
    assert_eq!(replaced(&bench.whole(SECOND).await), [1200]);
    assert_eq!(bench.lists("services"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_long_list_comes_in_parts_that_are_void_if_it_breaks_off() {
    let mut bench = Bench::start(&both(), |server| {
        many(server);
        let cut = Fault::new(Effect::Cut).of("services").on(Verb::List);
        server.inject(cut.after_first_page().once());
    });
    let events = bench.raw(HOUR).await;
    let steps = events.iter().filter_map(|event| match event {
        Event::Part(Kind::Service, objects) => Some(("part", objects.len())),
        Event::Void(Kind::Service) => Some(("void", 0)),
        Event::Replace(Kind::Service, objects) => Some(("replace", objects.len())),
        _ => None,
    });
    let expected = [
        ("part", 500),
        ("void", 0),
        ("part", 500),
        ("part", 500),
        ("replace", 200),
    ];
    assert_eq!(steps.collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_begins_again() {
    for effect in [Effect::Cut, Effect::Disconnect] {
        let mut bench = Bench::start(&both(), |server| {
            many(server);
            server.inject(
                Fault::new(effect)
                    .of("services")
                    .on(Verb::List)
                    .after_first_page()
                    .times(2),
            );
        });
        // Before the last attempt everything else is known, and not one Service.
        let first = bench.whole(SECOND / 2).await;
        assert_eq!(first.len(), Kind::LISTED.len() - 1);
        assert_eq!(replaced(&first), [0_usize; 0]);
        assert_eq!(replaced(&bench.whole(HOUR).await), [1200]);
        assert_eq!(bench.lists("services"), 2 + 2 + 3);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_expire_are_asked_for_in_one() {
    let expired = Failure::expired();
    let mut bench = Bench::start(&both(), |server| {
        many(server);
        server.inject(
            Fault::new(Effect::Answer(expired))
                .of("services")
                .after_first_page(),
        );
    });
    assert_eq!(replaced(&bench.whole(HOUR).await), [1200]);
    assert_eq!(bench.lists("services"), 2 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_list_arrives() {
    let mut bench = Bench::start(&both(), |server| {
        server.apply(service("web")).unwrap();
        let slow = Effect::Slow {
            chunk: 10,
            pause: SECOND,
        };
        server.inject(Fault::new(slow).of("services"));
    });
    assert_eq!(bench.whole(SECOND).await.len(), Kind::LISTED.len() - 1);
    assert_eq!(bench.after(HOUR).await, ["= Service web"]);
}

#[tokio::test(start_paused = true)]
async fn changes_are_passed_on() {
    let mut bench = Bench::started(&both(), |_| {}).await;
    bench.server.apply(service("web")).unwrap();
    bench.server.apply(service("web")).unwrap(); // changes nothing
    bench.server.apply(labelled("web", "other")).unwrap();
    bench.server.delete("Service", "default", "web");
    bench
        .server
        .apply(cluster_scoped("v1", "Node", "node-2"))
        .unwrap();
    assert_eq!(
        bench.after(SECOND).await,
        ["+ Service web", "+ Service web", "- Service default/web"]
    );
}

#[tokio::test(start_paused = true)]
async fn without_ingress_the_server_filters_as_for_kube_proxy() {
    let headless = || {
        let mut headless = service("headless");
        headless["spec"]["clusterIP"] = "None".into();
        headless
    };
    let slice = |name: &str, labels: Value| {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": { "name": name, "labels": labels },
            "addressType": "IPv4", "endpoints": [], "ports": [],
        })
    };
    const ELSEWHERE: &str = "service.kubernetes.io/service-proxy-name";
    let prepare = |server: &ApiServer| {
        server.apply(service("plain")).unwrap();
        server.apply(labelled("elsewhere", ELSEWHERE)).unwrap();
        server.apply(headless()).unwrap();
        server.apply(slice("plain", json!({}))).unwrap();
        let label = json!({ "service.kubernetes.io/headless": "" });
        server.apply(slice("headless", label)).unwrap();
    };
    let mut bench = Bench::start(&service_proxy_only(), prepare);
    let events = bench.after(SECOND).await;
    assert!(events.contains(&"= Service plain".to_owned()), "{events:?}");
    assert!(
        events.contains(&"= EndpointSlice plain".to_owned()),
        "{events:?}"
    );

    bench.server.apply(labelled("plain", ELSEWHERE)).unwrap();
    bench.server.apply(service("elsewhere")).unwrap();
    let expected = ["- Service default/plain", "+ Service elsewhere"];
    assert_eq!(bench.after(SECOND).await, expected);

    let mut bench = Bench::start(&both(), prepare);
    let events = bench.after(SECOND).await;
    assert!(
        events.contains(&"= Service elsewhere headless plain".to_owned()),
        "{events:?}"
    );
    assert!(events.contains(&"= EndpointSlice headless plain".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_makes_no_sense_is_left_aside() {
    let bad = |name: &str| {
        let mut bad = service(name);
        bad["spec"]["ports"] = "many".into();
        bad
    };
    let mut bench = Bench::start(&both(), |server| {
        server.apply(bad("bad")).unwrap();
        server.apply(service("good")).unwrap();
    });
    let events = bench.after(SECOND).await;
    assert!(events.contains(&"= Service good".to_owned()), "{events:?}");

    bench.server.apply(bad("good")).unwrap();
    bench.server.apply(service("other")).unwrap();
    assert_eq!(
        bench.after(SECOND).await,
        ["+ Service other"],
        "good keeps its last state"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_channel_loses_nothing() {
    let server = ApiServer::start().unwrap();
    let client = Client::new(server.service(), "default");
    let (sender, mut events) = mpsc::channel(1);
    let _watch = watch(
        &client.clone().into(),
        &both(),
        Pace::default(),
        &sender,
        nothing_wanted(),
    );
    sleep(SECOND).await;
    for index in 0..100 {
        server.apply(service(&format!("s{index:03}"))).unwrap();
    }
    sleep(HOUR).await;
    let mut seen = Vec::new();
    while seen.len() < Kind::LISTED.len() + 100 {
        let event = tokio::time::timeout(HOUR, events.recv()).await.unwrap();
        seen.push(summary(&event.unwrap()));
    }
    seen.retain(|event| event.starts_with('+'));
    assert_eq!(seen.len(), 100);
    assert!(seen.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn ends_when_dropped_or_not_listened_to() {
    let server = ApiServer::start().unwrap();
    let client = Client::new(server.service(), "default");
    for dropped in [true, false] {
        let (sender, mut events) = mpsc::channel(64);
        let watch = watch(
            &client.clone().into(),
            &both(),
            Pace::default(),
            &sender,
            nothing_wanted(),
        );
        drop(sender);
        sleep(SECOND).await;
        assert_eq!(server.watchers("services"), 1);
        if dropped {
            drop(watch);
            while events.recv().await.is_some() {}
        } else {
            drop(events);
        }
        sleep(SECOND).await;
        assert_eq!(server.watchers("services"), 0);
    }
}
