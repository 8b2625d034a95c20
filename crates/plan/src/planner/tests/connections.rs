use super::*;
use crate::Statement;

fn bench() -> Bench {
    Bench::with(Options {
        count_connections: true,
        ..Options::default()
    })
}

fn of_service(bench: &Bench, name: &str) -> Vec<(SetName, String, String)> {
    let name = ObjectName::new("default", name);
    let counters = bench.planner.counters(Family::Ip4, &name).into_iter();
    counters
        .map(|counter| {
            let endpoint = counter.endpoint.to_string();
            (counter.element.set, counter.port.to_string(), endpoint)
        })
        .collect()
}

fn is_counted(bench: &Bench) -> bool {
    let ruleset = bench.planner.ruleset(Family::Ip4);
    let mut statements = ruleset
        .chains
        .iter()
        .flat_map(|chain| &chain.rules)
        .flat_map(|rule| &rule.statements);
    let counts =
        |statement: &Statement| matches!(statement, Statement::InSet { set, .. } if set.counts());
    statements.any(counts)
}

#[test]
fn nothing_is_counted_unless_asked_for() {
    let mut bench = Bench::new();
    bench.add(service("a", 0, 1, &[1, 2]));
    assert_eq!(of_service(&bench, "a"), []);
    assert!(!is_counted(&bench));
    assert!(bench.planner.replanned(Family::Ip4).is_empty());
}

#[test]
fn every_frontend_is_counted_with_each_of_its_endpoints_once() {
    let mut bench = bench();
    assert!(!is_counted(&bench), "there is nothing to count yet");
    let mut a = service("a", 0, 1, &[1, 2]);
    a.balance = Balance::Maglev;
    a.affinity = Affinity::ClientIp {
        timeout_seconds: 60,
    };
    a.ports[0].name = "web".into();
    a.ports[0].node_port = Some(port(30080));
    bench.add(a);
    assert!(is_counted(&bench));
    let web = |set, endpoint: &str| (set, "web".to_owned(), endpoint.to_owned());
    assert_eq!(
        of_service(&bench, "a"),
        [
            web(SetName::Connections, "10.244.1.1:8080"),
            web(SetName::Connections, "10.244.1.2:8080"),
            web(SetName::NodePortConnections, "10.244.1.1:8080"),
            web(SetName::NodePortConnections, "10.244.1.2:8080"),
        ]
    );
    bench.update(&[("a", None)]);
    assert!(!is_counted(&bench));
}

#[test]
fn what_is_counted_stays_when_slots_move_and_goes_in_the_second_batch() {
    let mut bench = bench();
    bench.add(service("a", 0, 1, &[1, 2, 3]));
    let transaction = bench.add(service("a", 0, 1, &[2, 3]));
    let counts = |changes: &[Change]| -> Vec<Change> {
        let of_ours = changes.iter().filter(|change| match change {
            Change::Add(element) | Change::Replace(element) | Change::Delete(element) => {
                element.set.counts()
            }
            _ => false,
        });
        of_ours.cloned().collect()
    };
    assert_eq!(counts(&transaction.make), []);
    let Bytes(first) = value(1);
    let gone = Bytes([&key(1).0[..], &first].concat().into());
    let gone = element(SetName::Connections, gone, Bytes::new());
    assert_eq!(counts(&transaction.release), [Change::Delete(gone)]);
    let replanned = bench.planner.replanned(Family::Ip4).iter();
    assert!(replanned.eq(&[ObjectName::new("default", "a")]));
}
