use fairway_model::*;
use fairway_plan::{Observed, Options, Planner};

use super::schedule::{LONGEST_PAUSE, REST, SETTLE, SHORTEST_PAUSE};
use super::*;
use std::time::Duration;

/// What the first endpoint of a Service of this port means for flows.
fn change(port: u16) -> FlowChanges {
    let port = Port::new(port).unwrap();
    let service = Service {
        cluster_ips: vec![[10, 96, 0, 10].into()],
        ports: vec![ServicePort {
            endpoints: [Endpoint::ready([10, 244, 1, 1].into(), port)].into(),
            ..ServicePort::new(Protocol::Udp, port)
        }],
        ..Service::new(ObjectName::new("kube-system", "dns"))
    };
    let mut snapshot = Snapshot::default();
    snapshot
        .services
        .insert_mut(service.name.clone(), Arc::new(service));
    let nothing = Observed::default();
    let (planner, _) = Planner::start(Options::default(), &snapshot, [&nothing, &nothing]);
    planner.all_flows(Family::Ip4, &snapshot, &nothing)
}

fn look(schedule: &mut Schedule, started: Instant, took: Duration) -> Instant {
    let round = schedule.begin();
    schedule.finish(&round, started, started + took);
    started + took
}

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn a_change_is_looked_for_at_once_and_once_more_when_all_has_settled() {
    let mut schedule = Schedule::default();
    let now = Instant::now();
    assert_eq!(schedule.due(now), None);
    schedule.check(change(53), Instant::now());
    assert_eq!(schedule.due(now), Some(now));
    let ended = look(&mut schedule, now, MOMENT);
    assert_eq!(schedule.due(ended), Some(ended + SETTLE));
    let ended = look(&mut schedule, ended + SETTLE, MOMENT);
    assert_eq!(schedule.due(ended), None);
}

#[test]
fn changes_that_never_end_take_a_share_of_one_core() {
    let mut schedule = Schedule::default();
    let took = Duration::from_secs(1);
    let mut now = Instant::now();
    for _ in 0..5 {
        schedule.check(change(53), Instant::now());
        let ended = look(&mut schedule, now, took);
        schedule.check(change(53), Instant::now());
        let next = schedule.due(ended).unwrap();
        assert_eq!(next, ended + took * REST);
        now = next;
    }
}

#[test]
fn pauses_after_failures_grow_up_to_the_longest() {
    let mut schedule = Schedule::default();
    schedule.check(change(53), Instant::now());
    let now = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        schedule.begin();
        let pause = schedule.failed(now);
        assert_eq!(schedule.due(now), Some(now + pause));
        pauses.push(pause);
    }
    assert_eq!(pauses[..2], [SHORTEST_PAUSE, SHORTEST_PAUSE * 2]);
    assert_eq!(pauses[7], LONGEST_PAUSE);
    look(&mut schedule, now, MOMENT);
    schedule.check(change(53), Instant::now());
    assert_eq!(schedule.failed(now), SHORTEST_PAUSE);
}
