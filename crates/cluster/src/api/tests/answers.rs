use fairway_testkit::apiserver::{Effect, Failure, Fault};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_forbidden_does_not_hold_up_the_others() {
    let mut bench = Bench::start(&both(), |server| {
        server.inject(Fault::forbid("endpointslices"));
    });
    let events = bench.after(HOUR).await;
    assert_eq!(events.len(), Kind::LISTED.len());
    let withheld = events.iter().filter(|event| *event == "? EndpointSlice");
    assert_eq!(withheld.count(), 1, "{events:?}");
    assert!(!events.contains(&"= EndpointSlice".to_owned()));
    bench.server.apply(service("web")).unwrap();
    assert_eq!(bench.after(SECOND).await, ["+ Service web"]);

    bench.server.heal();
    assert_eq!(bench.after(31 * SECOND).await, ["= EndpointSlice"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_service_cidrs_is_asked_again_rarely() {
    let cidr = cluster_scoped("networking.k8s.io/v1", "ServiceCIDR", "kubernetes");
    let mut bench = Bench::started(&both(), |server| {
        server.inject(Fault::absent("servicecidrs"));
    })
    .await;
    assert_eq!(bench.after(HOUR).await, [""; 0]);
    assert_eq!(bench.lists("servicecidrs"), 1 + 4, "every 15 minutes");

    // The server is upgraded.
    bench.server.heal();
    bench.server.apply(cidr).unwrap();
    assert_eq!(bench.after(HOUR).await, ["= ServiceCIDR kubernetes"]);

    // Something before the server answers in its place: that is no reason to forget.
    bench.server.inject(Fault::absent("servicecidrs"));
    bench.server.compact();
    bench.server.drop_connections();
    assert_eq!(bench.after(HOUR).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn other_kinds_that_are_missing_are_waited_for() {
    let mut bench = Bench::start(&both(), |server| {
        server.inject(Fault::absent("services"));
    });
    assert_eq!(bench.after(HOUR).await.len(), Kind::LISTED.len() - 1);
    bench.server.heal();
    assert_eq!(bench.after(31 * SECOND).await, ["= Service"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_gets_it() {
    let mut bench = Bench::start(&both(), |server| {
        let busy = Effect::Answer(Failure::too_many_requests(20));
        server.inject(Fault::new(busy).of("services").once());
    });
    assert_eq!(bench.after(19 * SECOND).await.len(), Kind::LISTED.len() - 1);
    assert_eq!(bench.after(2 * SECOND).await, ["= Service"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_in_trouble_is_asked_until_it_answers() {
    let mut bench = Bench::start(&both(), |server| {
        let trouble = Effect::Answer(Failure::internal("etcdserver: no leader"));
        server.inject(Fault::new(trouble).times(50));
    });
    assert_eq!(bench.after(HOUR).await.len(), Kind::LISTED.len());
}
