//! Hearing of what others do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use fairway_nft::{Dataplane, Monitor, Netlink};
use fairway_plan::{Change, Family, SetName};
use tokio::time::timeout;

use crate::namespace::in_namespace;
use crate::nft::{load, nft};
use crate::sample::{create, destroy, element, endpoint, make, ruleset, service};

/// Everything a notification waits for has happened when the call that causes it comes back, so
/// the deadline for one that must come is only there to fail, and one that must not come is not
/// waited for but looked for: see [`quiet`].
const DEADLINE: Duration = Duration::from_secs(10);

async fn changed(monitor: &mut Monitor) {
    timeout(DEADLINE, monitor.changed())
        .await
        .expect("a change is reported")
        .unwrap();
}

/// Nothing has been reported by now. The notifications of earlier calls are in the socket already;
/// the time is for the runtime to poll it.
async fn quiet(monitor: &mut Monitor, what: &str) {
    let result = timeout(Duration::from_millis(50), monitor.changed()).await;
    assert!(result.is_err(), "reported: {what}");
}

fn in_runtime<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    in_namespace(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(test());
    });
}

#[test]
fn reports_what_others_do_to_our_tables() {
    in_runtime(async || {
        let mut netlink = Netlink::open().unwrap();
        let mut monitor = Monitor::open(&mut netlink).unwrap();
        for family in Family::ALL {
            let name = family.to_string();
            netlink.commit(&create(&ruleset(family))).unwrap();
            quiet(&mut monitor, "our own commit").await;

            nft(&[
                "add",
                "element",
                &name,
                "fairway",
                "node-ports",
                "{ tcp . 99 }",
            ]);
            changed(&mut monitor).await;
            nft(&[
                "delete",
                "element",
                &name,
                "fairway",
                "node-ports",
                "{ tcp . 99 }",
            ]);
            changed(&mut monitor).await;
            nft(&["add", "rule", &name, "fairway", "services", "drop"]);
            changed(&mut monitor).await;
            quiet(&mut monitor, "one change twice").await;

            nft(&["flush", "ruleset"]);
            changed(&mut monitor).await;
            assert!(!netlink.read(family).unwrap().table);
            netlink.commit(&create(&ruleset(family))).unwrap();
            netlink.commit(&destroy(family)).unwrap();
            quiet(&mut monitor, "our own commits").await;
        }
    });
}

#[test]
fn reports_no_changes_of_other_tables() {
    in_runtime(async || {
        let mut netlink = Netlink::open().unwrap();
        let mut monitor = Monitor::open(&mut netlink).unwrap();
        netlink.commit(&create(&ruleset(Family::Ip4))).unwrap();
        load("table ip other { set s { type ipv4_addr; }; chain c { drop; }; }");
        load("table inet fairway { set s { type ipv4_addr; }; chain c { drop; }; }");
        load("add element ip other s { 10.0.0.1 }");
        load("delete table ip other; delete table inet fairway");
        quiet(&mut monitor, "tables of others").await;
    });
}

/// Large commits are not listened to, and still nothing gets lost.
#[test]
fn large_commits_of_our_own_are_quiet() {
    in_runtime(async || {
        let family = Family::Ip6;
        let mut netlink = Netlink::open().unwrap();
        let mut monitor = Monitor::open(&mut netlink).unwrap();
        netlink.commit(&create(&ruleset(family))).unwrap();
        let all = || {
            (100..200_100).map(|n| {
                let set = SetName::Endpoints(crate::sample::class(1));
                element(set, service(family, n), endpoint(family, n))
            })
        };
        netlink
            .commit(&make(family, all().map(Change::Add)))
            .unwrap();
        quiet(&mut monitor, "our own large commit").await;
        netlink
            .commit(&make(family, all().map(Change::Delete)))
            .unwrap();
        quiet(&mut monitor, "our own large deletion").await;

        nft(&["add", "rule", "ip6", "fairway", "services", "drop"]);
        netlink
            .commit(&make(family, all().map(Change::Add)))
            .unwrap();
        changed(&mut monitor).await;
        quiet(&mut monitor, "one change twice").await;
    });
}

/// More changes of others than the socket has room for.
#[test]
fn an_overflow_is_reported() {
    in_runtime(async || {
        let family = Family::Ip6;
        let mut netlink = Netlink::open().unwrap();
        let mut other = Netlink::open().unwrap();
        let mut monitor = Monitor::open(&mut netlink).unwrap();
        netlink.commit(&create(&ruleset(family))).unwrap();
        let all = (100..200_100).map(|n| {
            let set = SetName::Endpoints(crate::sample::class(1));
            Change::Add(element(set, service(family, n), endpoint(family, n)))
        });
        other.commit(&make(family, all)).unwrap();
        changed(&mut monitor).await;
        quiet(&mut monitor, "one change twice").await;
        // It still works.
        nft(&["flush", "ruleset"]);
        changed(&mut monitor).await;
    });
}

/// Somebody changes something while one of our large commits runs and nobody listens.
#[test]
fn a_change_during_a_large_commit_is_reported() {
    in_runtime(async || {
        let family = Family::Ip4;
        let mut netlink = Netlink::open().unwrap();
        let mut monitor = Monitor::open(&mut netlink).unwrap();
        netlink.commit(&create(&ruleset(family))).unwrap();
        // A table of somebody else: what is heard of it does not matter, but while nobody listens it
        // cannot be told from ours.
        load("table ip other { chain c { drop; }; }");
        let stop = Arc::new(AtomicBool::new(false));
        let (all, run) = (100..100_100, stop.clone());
        let others = std::thread::spawn(move || {
            while !run.load(Relaxed) {
                load("add rule ip other c drop");
            }
        });
        let changes = all.map(|n| {
            let set = SetName::Endpoints(crate::sample::class(1));
            Change::Add(element(set, service(family, n), endpoint(family, n)))
        });
        netlink.commit(&make(family, changes)).unwrap();
        stop.store(true, Relaxed);
        others.join().unwrap();
        changed(&mut monitor).await;
    });
}
