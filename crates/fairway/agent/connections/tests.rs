use fairway_admin::encode;
use fairway_nft::Fake;
use fairway_plan::{Element, Transaction};

use super::*;

fn change(number: u32) -> Element {
    Element {
        set: SetName::Connections,
        key: Bytes::new().slot(number),
        value: Bytes::new(),
    }
}

#[test]
fn only_what_counts_and_goes_is_read_for_the_last_time() {
    let other = Element {
        set: SetName::ClusterIps,
        ..change(1)
    };
    let unconcerned = [Change::Delete(other), Change::Add(change(1))];
    assert_eq!(counting_that_goes(&unconcerned), None);
    let some = [1, 2].map(|number| Change::Delete(change(number)));
    let keys = [1, 2].map(|number| change(number).key).to_vec();
    let expected = BTreeMap::from([(SetName::Connections, Going::Some(keys))]);
    assert_eq!(counting_that_goes(&some), Some(expected));
    let all = [Change::DestroySet("connections".into())];
    let expected = BTreeMap::from([(SetName::Connections, Going::All)]);
    assert_eq!(counting_that_goes(&all), Some(expected));
}

/// The kernel is read by whoever asks, and no more often.
#[tokio::test]
async fn those_who_ask_at_a_time_are_answered_by_one_reading() {
    let (refresh, requests) = Refresh::new();
    let metrics = ConnectionMetrics::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let counters = ConnectionCounters::new(metrics);
    let known = Known {
        service: fairway_model::ObjectName::new("default", "a"),
        ports: Some(vec!["web".into()]),
        counters: vec![fairway_plan::Counter {
            element: change(1),
            port: "web".into(),
            endpoint: ([10, 0, 0, 1], 80).into(),
        }],
    };
    lock(&counters.ledger).follow(Family::Ip4, vec![known], InKernel::Yes);
    let mut reader = Reader {
        ledger: counters.ledger.clone(),
        requests,
        open: || {
            let mut fake = Fake::new();
            let add = Transaction {
                make: vec![
                    Change::CreateTable,
                    Change::CreateSet(SetName::Connections),
                    Change::Add(change(1)),
                ],
                ..Transaction::new(Family::Ip4)
            };
            fake.commit(&add)?;
            fake.count(Family::Ip4, SetName::Connections, &change(1).key, 4);
            Ok(fake)
        },
        dataplane: None,
    };
    let two = async { tokio::join!(refresh.refresh(), refresh.refresh()) };
    let reading = thread::spawn(move || reader.run());
    two.await;
    let text = encode(&registry).unwrap();
    assert!(text.contains("endpoint=\"10.0.0.1:80\"} 4"), "{text}");
    drop(refresh);
    reading.join().expect("ends when nobody can ask");
}
