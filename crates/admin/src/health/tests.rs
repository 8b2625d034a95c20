use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// 2026-11-22T10:00:00Z, `seconds` later.
fn at(start: Instant, seconds: u64) -> Moment {
    let start = Moment {
        monotonic: start,
        wall: Timestamp::constant(1_795_341_600, 0),
    };
    start.after(SECOND * u32::try_from(seconds).unwrap())
}

fn fresh() -> (Health, Instant) {
    (Health::new(60 * SECOND), Instant::now())
}

#[test]
fn a_fresh_process_is_healthy_and_lists_no_family() {
    let (health, start) = fresh();
    let report = health.report(at(start, 0));
    assert!(report.is_ready());
    assert_eq!(
        report.healthz_body(),
        r#"{"lastUpdated":"2026-11-22T10:00:00Z","currentTime":"2026-11-22T10:00:00Z","nodeEligible":true,"healthy":true}"#
    );
    assert_eq!(
        report.livez_body(),
        r#"{"lastUpdated":"2026-11-22T10:00:00Z","currentTime":"2026-11-22T10:00:00Z","healthy":true}"#
    );
}

#[test]
fn one_late_family_fails_both_probes_and_is_named() {
    let (health, start) = fresh();
    for family in IpFamily::ALL {
        health.queued(family, at(start, 0));
        health.applied(family, at(start, 1));
    }
    health.queued(IpFamily::Ipv6, at(start, 10));

    assert!(health.report(at(start, 69)).is_ready());
    let report = health.report(at(start, 70));
    assert!(!report.is_live());
    assert!(!report.is_ready());
    assert_eq!(
        report.livez_body(),
        concat!(
            r#"{"lastUpdated":"2026-11-22T10:00:01Z","currentTime":"2026-11-22T10:01:10Z","healthy":false,"#,
            r#""status":{"IPv4":{"lastUpdated":"2026-11-22T10:00:01Z","healthy":true},"#,
            r#""IPv6":{"lastUpdated":"2026-11-22T10:00:01Z","healthy":false}}}"#
        )
    );

    health.applied(IpFamily::Ipv6, at(start, 71));
    assert!(health.report(at(start, 1000)).is_ready());
}

#[test]
fn the_oldest_waiting_change_counts() {
    let (health, start) = fresh();
    health.applied(IpFamily::Ipv4, at(start, 0));
    health.queued(IpFamily::Ipv4, at(start, 10));
    health.queued(IpFamily::Ipv4, at(start, 65));
    assert!(!health.report(at(start, 70)).is_live());
}

#[test]
fn a_family_that_never_got_anything_into_the_kernel_is_late_too() {
    let (health, start) = fresh();
    health.queued(IpFamily::Ipv4, at(start, 0));
    assert!(health.report(at(start, 59)).families.is_empty());
    let report = health.report(at(start, 60));
    assert!(!report.is_live());
    assert!(
        report.livez_body().contains(
            r#""status":{"IPv4":{"lastUpdated":"0001-01-01T00:00:00Z","healthy":false}}"#
        ),
        "{}",
        report.livez_body()
    );
}

#[test]
fn a_leaving_or_unknown_node_is_not_ready_but_live() {
    let (health, start) = fresh();
    for node in [NodeState::Leaving, NodeState::Unknown] {
        health.set_node(node);
        let report = health.report(at(start, 0));
        assert!(!report.is_ready());
        assert!(report.is_live());
        assert_eq!(
            report.healthz_body(),
            r#"{"lastUpdated":"0001-01-01T00:00:00Z","currentTime":"2026-11-22T10:00:00Z","nodeEligible":false,"healthy":true}"#
        );
    }
    health.set_node(NodeState::Eligible);
    assert!(health.report(at(start, 0)).is_ready());
}

#[test]
fn services_that_cannot_be_programmed_are_named_and_leave_the_process_live() {
    let (health, start) = fresh();
    health.set_router_serving(true);
    health.set_service_proxy_serving(false);
    let report = health.report(at(start, 0));
    // A restart would not help, and the router would be gone as well.
    assert!(!report.is_ready() && report.is_live());
    let body = report.healthz_body();
    assert!(body.ends_with(r#""serviceProxyServing":false}"#), "{body}");
}

#[test]
fn what_is_forbidden_is_named_and_turns_nobody_away() {
    let (health, start) = fresh();
    let mut report = health.report(at(start, 0));
    report.forbidden = vec!["leases.coordination.k8s.io".to_owned()];
    assert!(report.is_ready());
    let body = report.healthz_body();
    let named = r#","forbidden":["leases.coordination.k8s.io"]}"#;
    assert!(body.ends_with(named), "{body}");
}

#[test]
fn draining_and_a_dead_router_are_named_and_leave_the_process_live() {
    let (health, start) = fresh();
    health.set_router_serving(false);
    let report = health.report(at(start, 0));
    assert!(!report.is_ready() && report.is_live());
    assert!(report.healthz_body().ends_with(r#""routerServing":false}"#));

    health.set_router_serving(true);
    let report = health.report(at(start, 0));
    assert!(report.is_ready());
    assert!(!report.healthz_body().contains("router"));

    health.set_draining();
    let report = health.report(at(start, 0));
    assert!(!report.is_ready() && report.is_live());
    assert!(report.healthz_body().ends_with(r#""draining":true}"#));
    assert!(!report.livez_body().contains("draining"));
}

#[test]
fn a_step_of_the_wall_clock_makes_nothing_stale() {
    let (health, start) = fresh();
    health.applied(IpFamily::Ipv4, at(start, 0));
    health.queued(IpFamily::Ipv4, at(start, 1));
    let stepped = Moment {
        wall: at(start, 1_000_000).wall,
        ..at(start, 2)
    };
    assert!(health.report(stepped).is_live());
}
