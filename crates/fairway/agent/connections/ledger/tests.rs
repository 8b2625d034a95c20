use fairway_admin::encode;
use fairway_plan::Element;
use prometheus_client::registry::Registry;

use super::*;

const SET: SetName = SetName::Connections;
const FAMILY: Family = Family::Ip4;

struct Bench {
    ledger: Ledger,
    registry: Registry,
}

fn key(number: u32) -> Bytes {
    Bytes::new().slot(number)
}

fn name(name: &str) -> ObjectName {
    ObjectName::new("default", name)
}

/// Each of these elements counts for the endpoint of its number.
fn known(service: &str, elements: &[u32]) -> Known {
    let counter = |number: &u32| Counter {
        element: Element {
            set: SET,
            key: key(*number),
            value: Bytes::new(),
        },
        port: "web".into(),
        endpoint: ([10, 0, 0, *number as u8], 80).into(),
    };
    Known {
        service: name(service),
        ports: Some(vec!["web".into()]),
        counters: elements.iter().map(counter).collect(),
    }
}

impl Bench {
    fn new() -> Self {
        let metrics = ConnectionMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        Self {
            ledger: Ledger::new(metrics),
            registry,
        }
    }

    fn follow(&mut self, known: Vec<Known>) {
        self.ledger.follow(FAMILY, known, InKernel::Yes);
    }

    fn read(&mut self, counted: &[(u32, u64)]) {
        let reading = self.ledger.begin_reading();
        self.take(reading, counted);
    }

    fn take(&mut self, reading: u64, counted: &[(u32, u64)]) {
        let counted = counted.iter().map(|(number, count)| (key(*number), *count));
        self.ledger.take(reading, FAMILY, SET, counted.collect());
    }

    /// The series by Service and by endpoint, shortened, in alphabetical order.
    fn shown(&self) -> Vec<String> {
        let text = encode(&self.registry).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut lines: Vec<_> = lines
            .map(|line| {
                line.replace("fairway_", "")
                    .replace("_connections_total", "")
                    .replace("namespace=\"default\",service=", "")
                    .replace(",port=\"web\"", "")
                    .replace(":80", "")
            })
            .collect();
        lines.sort();
        lines
    }
}

#[test]
fn totals_survive_what_elements_do() {
    let mut bench = Bench::new();
    bench.follow(vec![known("a", &[1, 2])]);
    assert_eq!(bench.shown(), [""; 0], "nobody has been here");
    bench.read(&[(1, 3), (2, 0), (7, 100)]);
    assert_eq!(
        bench.shown(),
        [
            r#"endpoint{"a",endpoint="10.0.0.1"} 3"#,
            r#"service{"a"} 3"#
        ]
    );
    bench.read(&[(1, 4), (2, 5)]);
    // Made anew with the table.
    bench.read(&[(1, 1), (2, 6)]);
    assert_eq!(
        bench.shown(),
        [
            r#"endpoint{"a",endpoint="10.0.0.1"} 5"#,
            r#"endpoint{"a",endpoint="10.0.0.2"} 6"#,
            r#"service{"a"} 11"#
        ]
    );
    bench.follow(vec![known("a", &[])]);
    assert_eq!(bench.shown(), [r#"service{"a"} 11"#]);
    bench.follow(vec![known("a", &[2])]);
    bench.read(&[(2, 1)]);
    assert_eq!(
        bench.shown(),
        [
            r#"endpoint{"a",endpoint="10.0.0.2"} 1"#,
            r#"service{"a"} 12"#
        ]
    );
    let gone = Known {
        ports: None,
        ..known("a", &[])
    };
    bench.follow(vec![gone]);
    assert_eq!(bench.shown(), [""; 0]);
    assert!(bench.ledger.elements.is_empty() && bench.ledger.of_service.is_empty());
    assert!(bench.ledger.endpoints.is_empty());
}

#[test]
fn an_element_that_passes_to_another_service_counts_on_for_that_one() {
    for takes_first in [true, false] {
        let mut bench = Bench::new();
        bench.follow(vec![known("a", &[1])]);
        bench.read(&[(1, 3)]);
        let mut update = vec![known("a", &[]), known("b", &[1])];
        if takes_first {
            update.reverse();
        }
        bench.follow(update);
        bench.read(&[(1, 5)]);
        assert_eq!(
            bench.shown(),
            [
                r#"endpoint{"b",endpoint="10.0.0.1"} 2"#,
                r#"service{"a"} 3"#,
                r#"service{"b"} 2"#
            ]
        );
    }
}

#[test]
fn what_was_counted_before_our_time_is_not_ours() {
    let mut bench = Bench::new();
    let known = || vec![known("a", &[1, 2])];
    bench.ledger.follow(FAMILY, known(), InKernel::Unknown);
    bench.read(&[(1, 1000)]);
    bench.ledger.all_is_known(FAMILY);
    bench.read(&[(1, 1001), (2, 2)]);
    assert_eq!(
        bench.shown(),
        [
            r#"endpoint{"a",endpoint="10.0.0.1"} 1"#,
            r#"endpoint{"a",endpoint="10.0.0.2"} 2"#,
            r#"service{"a"} 3"#
        ]
    );
}

#[test]
fn a_reading_that_took_long_does_not_count_twice() {
    let mut bench = Bench::new();
    bench.follow(vec![known("a", &[1])]);
    let slow = bench.ledger.begin_reading();
    bench.read(&[(1, 7)]);
    bench.take(slow, &[(1, 5)]);
    let slow = bench.ledger.begin_reading();
    bench.follow(vec![known("a", &[])]);
    bench.follow(vec![known("a", &[1])]);
    bench.take(slow, &[(1, 7)]);
    bench.read(&[(1, 1)]);
    assert_eq!(
        bench.shown(),
        [
            r#"endpoint{"a",endpoint="10.0.0.1"} 1"#,
            r#"service{"a"} 8"#
        ]
    );
}

#[test]
fn what_has_no_room_is_counted_as_others() {
    let mut bench = Bench::new();
    bench.ledger.series = 1;
    bench.follow(vec![known("a", &[1]), known("b", &[2, 3])]);
    bench.read(&[(1, 1), (2, 0), (3, 0)]);
    bench.read(&[(1, 2), (2, 2), (3, 3)]);
    let other = [
        r#"endpoint{namespace="",service="other",port="",endpoint=""} 5"#,
        r#"service{namespace="",service="other",port=""} 5"#,
    ];
    assert_eq!(
        bench.shown(),
        [
            r#"endpoint{"a",endpoint="10.0.0.1"} 2"#,
            other[0],
            r#"service{"a"} 2"#,
            other[1]
        ]
    );
    // Room that is free again goes to whom is counted next.
    let gone = Known {
        ports: None,
        ..known("a", &[])
    };
    bench.follow(vec![gone]);
    bench.read(&[(3, 4)]);
    assert_eq!(
        bench.shown(),
        [
            r#"endpoint{"b",endpoint="10.0.0.3"} 1"#,
            other[0],
            r#"service{"b"} 1"#,
            other[1]
        ]
    );
}
