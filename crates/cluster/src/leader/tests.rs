use std::time::Duration;

use fairway_testkit::apiserver::{ApiServer, Effect, Failure, Fault, Verb};
use kube::Client;
use tokio::time::sleep;

use super::*;

const LEASE: &str = "fairway-ingress";

fn candidate(server: &ApiServer, identity: &str) -> Candidate {
    let client = Client::new(server.service(), "fairway");
    Candidate::stand(&client.into(), LEASE, identity)
}

fn holder(server: &ApiServer) -> String {
    let lease = server.get("Lease", "fairway", LEASE).unwrap();
    lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
}

async fn settle() {
    sleep(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn who_may_not_stand_says_which_rule_it_takes() {
    let server = ApiServer::start().unwrap();
    let connection = Connection::from(Client::new(server.service(), "fairway"));
    server.inject(Fault::forbid("leases").on(Verb::Create));
    let candidate = Candidate::stand(&connection, LEASE, "a");
    settle().await;
    assert!(!candidate.leadership().is_held());
    let [trouble] = &connection.report.troubles()[..] else {
        panic!("{:?}", connection.report.troubles());
    };
    assert_eq!(trouble.reason, "Forbidden");
    let rule = r#"fairway's Role needs the rule {apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"]}"#;
    assert!(trouble.message.contains(rule), "{}", trouble.message);
    server.heal();
    sleep(RETRY).await;
    settle().await;
    assert!(candidate.leadership().is_held());
    assert!(connection.report.troubles().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_of_several_leads() {
    let server = ApiServer::start().unwrap();
    let candidates = ["a", "b", "c"].map(|identity| candidate(&server, identity));
    for _ in 0..100 {
        sleep(Duration::from_secs(7)).await;
        let leading: Vec<_> = candidates
            .iter()
            .filter(|candidate| candidate.leadership().is_held())
            .collect();
        assert_eq!(leading.len(), 1);
    }
    let lease = server.get("Lease", "fairway", LEASE).unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1, "it stays with one");
}

#[tokio::test(start_paused = true)]
async fn who_steps_down_is_followed_soon() {
    let server = ApiServer::start().unwrap();
    let first = candidate(&server, "a");
    settle().await;
    let second = candidate(&server, "b");
    settle().await;
    assert!(first.leadership().is_held() && !second.leadership().is_held());

    first.step_down().await;
    assert_eq!(holder(&server), "");
    sleep(LOOK + Duration::from_secs(6)).await;
    assert!(second.leadership().is_held(), "long before it runs out");
    assert_eq!(holder(&server), "b");
}

#[tokio::test(start_paused = true)]
async fn who_vanishes_is_followed_when_the_lease_runs_out() {
    let server = ApiServer::start().unwrap();
    let first = candidate(&server, "a");
    settle().await;
    let second = candidate(&server, "b");
    settle().await;
    drop(first);
    sleep(DURATION - Duration::from_secs(1)).await;
    assert!(!second.leadership().is_held(), "not before its time");
    sleep(Duration::from_secs(7)).await;
    assert!(second.leadership().is_held());
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_stops_before_another_begins() {
    let server = ApiServer::start().unwrap();
    let first = candidate(&server, "a");
    settle().await;
    assert!(first.leadership().is_held());
    server.inject(Fault::new(Effect::Answer(Failure::internal("etcd is away"))).of("leases"));
    sleep(Duration::from_secs(15)).await;
    assert!(
        first.leadership().is_held(),
        "one missed renewal is no loss"
    );
    sleep(DURATION).await;
    assert!(!first.leadership().is_held());
    server.heal();
    sleep(RETRY + Duration::from_secs(1)).await;
    assert!(first.leadership().is_held());
}

#[tokio::test(start_paused = true)]
async fn of_two_writers_one_gives_way() {
    let server = ApiServer::start().unwrap();
    let conflict = Effect::Answer(Failure::conflict("somebody was faster"));
    server.inject(Fault::new(conflict).of("leases").on(Verb::Create).once());
    let only = candidate(&server, "a");
    settle().await;
    assert!(!only.leadership().is_held());
    sleep(RETRY + Duration::from_secs(1)).await;
    assert!(only.leadership().is_held());
}

#[tokio::test(start_paused = true)]
async fn a_restarted_agent_goes_on() {
    let server = ApiServer::start().unwrap();
    drop(candidate(&server, "a"));
    let again = candidate(&server, "a");
    settle().await;
    assert!(again.leadership().is_held());
}

#[test]
fn a_clock_that_is_wrong_changes_nothing() {
    let mut observer = Observer::new("b");
    let now = Instant::now();
    let mut other = Observer::new("a");
    let Step::Create(lease) = other.decide(None, now, Timestamp::UNIX_EPOCH) else {
        panic!("there was none");
    };
    // Renewed in 1970, by that clock; but we have only just seen it.
    for later in [Duration::ZERO, DURATION - Duration::from_secs(1)] {
        let step = observer.decide(Some(*lease.clone()), now + later, Timestamp::now());
        assert!(matches!(step, Step::Wait(_)), "after {later:?}");
    }
}

#[test]
fn an_absurd_duration_is_not_believed() {
    let now = Instant::now();
    for seconds in [-1, 0, i32::MAX] {
        let mut lease = Lease::default();
        lease.spec.get_or_insert_default().holder_identity = Some("a".to_owned());
        lease.spec.get_or_insert_default().lease_duration_seconds = Some(seconds);
        let mut observer = Observer::new("b");
        observer.decide(Some(lease.clone()), now, Timestamp::now());
        let step = observer.decide(Some(lease), now + DURATION, Timestamp::now());
        assert!(matches!(step, Step::Replace(_)));
    }
}
