use fairway_testkit::apiserver::{Effect, Failure, Fault};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_server_away_for_hours_changes_nothing() {
    let mut bench = Bench::started(&both(), |server| {
        server.apply(service("web")).unwrap();
    })
    .await;
    bench.server.go_away();
    assert_eq!(bench.after(10 * HOUR).await, [""; 0]);
    bench.server.come_back();
    assert_eq!(bench.after(HOUR).await, [""; 0]);
    assert_eq!(bench.lists("services"), 1, "the watch went on where it was");
}

#[tokio::test(start_paused = true)]
async fn a_server_away_at_the_start_is_waited_for() {
    let mut bench = Bench::start(&both(), |server| {
        server.apply(service("web")).unwrap();
        server.go_away();
    });
    assert_eq!(bench.after(10 * HOUR).await, [""; 0]);
    bench.server.come_back();
    // The longest pause is half a minute.
    assert_eq!(bench.after(31 * SECOND).await.len(), Kind::LISTED.len());
}

#[tokio::test(start_paused = true)]
async fn what_happened_meanwhile_shows_afterwards() {
    let mut bench = Bench::started(&both(), |server| {
        server.apply(service("gone")).unwrap();
    })
    .await;
    bench.server.go_away();
    bench.after(HOUR).await;
    bench.server.delete("Service", "default", "gone");
    bench.server.apply(service("new")).unwrap();
    bench.server.come_back();
    let expected = ["- Service default/gone", "+ Service new"];
    assert_eq!(bench.after(31 * SECOND).await, expected);
    assert_eq!(bench.lists("services"), 1);
}

#[tokio::test(start_paused = true)]
async fn history_that_was_forgotten_is_replaced_by_a_list() {
    let refused = Effect::Answer(Failure::expired());
    for http in [false, true] {
        let mut bench = Bench::started(&both(), |server| {
            server.apply(service("gone")).unwrap();
            server.apply(service("kept")).unwrap();
        })
        .await;
        bench.server.go_away();
        bench.server.delete("Service", "default", "gone");
        bench.server.compact();
        if http {
            // As a status of the watch instead of an event in it.
            let fault = Fault::new(refused.clone()).of("services").on(Verb::Watch);
            bench.server.inject(fault.once());
        }
        bench.server.come_back();
        let events = bench.after(HOUR).await;
        let about_services = |event: &&String| event.contains(" Service ");
        let events: Vec<_> = events.iter().filter(about_services).collect();
        assert_eq!(events, ["= Service kept"]);
        assert_eq!(bench.lists("services"), 2);

        bench.server.apply(service("live")).unwrap();
        assert_eq!(bench.after(SECOND).await, ["+ Service live"]);
    }
}

#[tokio::test(start_paused = true)]
async fn bookmarks_spare_a_list() {
    for bookmark in [true, false] {
        let mut bench = Bench::started(&both(), |server| {
            server.apply(service("web")).unwrap();
        })
        .await;
        change_elsewhere(&bench.server);
        if bookmark {
            bench.server.send_bookmarks();
        }
        bench.after(SECOND).await;
        bench.server.compact();
        bench.server.drop_connections();
        let events = bench.after(SECOND * 10).await;
        let lists = if bookmark { 1 } else { 2 };
        assert_eq!(bench.lists("services"), lists, "{events:?}");
        bench.server.apply(service("live")).unwrap();
        assert_eq!(bench.after(SECOND).await, ["+ Service live"]);
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_cut_are_resumed_in_silence() {
    let mut bench = Bench::started(&both(), |_| {}).await;
    for round in 0..5 {
        bench.server.drop_connections();
        bench.server.apply(service(&format!("s{round}"))).unwrap();
        let events = bench.after(32 * SECOND).await;
        assert_eq!(events, [format!("+ Service s{round}")]);
    }
    assert_eq!(bench.lists("services"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_every_watch_is_not_hammered() {
    let bench = Bench::start(&both(), |server| {
        // The watch begins and is over, without an error.
        server.inject(Fault::new(Effect::Cut).on(Verb::Watch));
    });
    sleep(60 * SECOND).await;
    let watches = bench.server.count(Verb::Watch, "services");
    assert!((2..=80).contains(&watches), "{watches} watches in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_forgets_everything_at_once_is_not_hammered() {
    let mut bench = Bench::start(&both(), |server| {
        server.inject(Fault::new(Effect::ExpiredEvent).on(Verb::Watch));
    });
    bench.after(HOUR).await;
    let lists = bench.lists("services");
    assert!((100..=300).contains(&lists), "{lists} lists in an hour");
}
