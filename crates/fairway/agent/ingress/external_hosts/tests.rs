use std::cell::RefCell;
use std::collections::VecDeque;

use tokio::time::timeout;

use super::*;

fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses.iter().map(|it| it.parse().unwrap()).collect()
}

#[test]
fn addresses_that_lead_inside_are_refused() {
    let node = Node {
        addresses: vec!["192.0.2.9".parse().unwrap()],
        service_cidrs: vec!["10.96.0.0/12".parse().unwrap()],
        ..Node::default()
    };
    let judge = |address: &str| judge(address.parse().unwrap(), &node);
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.9",
        "10.96.0.10",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::1",
        "::ffff:10.96.0.10",
    ] {
        assert!(judge(address).is_err(), "{address}");
    }
    for address in [
        "192.0.2.8",
        "10.0.0.1",
        "2001:db8::1",
        "fd00::1",
        "64:ff9b::808:808",
    ] {
        assert_eq!(judge(address), Ok(()), "{address}");
    }
}

#[test]
fn names_are_absolute_and_addresses_are_none() {
    assert_eq!(absolute("db.example").as_deref(), Some("db.example."));
    assert_eq!(absolute("db.example.").as_deref(), Some("db.example."));
    for host in [
        "",
        ".",
        "127.0.0.1",
        "::1",
        "*.example",
        "a b",
        "db.example..",
        "0x7f.1:80",
    ] {
        assert_eq!(absolute(host), None, "{host:?}");
    }
}

/// Answers of a resolver one after the other, and then the last one for ever.
fn answers(
    list: Vec<io::Result<BTreeSet<IpAddr>>>,
) -> impl AsyncFn() -> io::Result<BTreeSet<IpAddr>> {
    let list = RefCell::new(VecDeque::from(list));
    async move || {
        let mut list = list.borrow_mut();
        match list.len() {
            0 => Err(io::ErrorKind::NotFound.into()),
            _ => list.pop_front().expect("there is one"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_is_looked_up_again_and_a_failure_keeps_the_last_answer_for_a_while() {
    let (sender, mut found) = mpsc::channel(1);
    let failed = || Err(io::ErrorKind::TimedOut.into());
    let lookup = answers(vec![
        failed(),
        Ok(set(&["192.0.2.1"])),
        Ok(set(&["192.0.2.1"])),
        Ok(set(&["192.0.2.2"])),
        failed(),
    ]);
    let begun = Instant::now();
    let watched = watch("db.example".into(), lookup, sender);
    let told = async {
        let mut told = Vec::new();
        while let Ok(Some((_, addresses))) = timeout(STALE * 2, found.recv()).await {
            told.push((begun.elapsed().as_secs(), addresses));
        }
        told
    };
    let told = tokio::select! {
        () = watched => panic!("it goes on for ever"),
        told = told => told,
    };
    let addresses = |text: &str| set(&[text]).into_iter().collect::<Vec<_>>();
    let expected = [
        (0, Vec::new()),
        (5, addresses("192.0.2.1")),
        (65, addresses("192.0.2.2")),
        (365, Vec::new()),
    ];
    assert_eq!(told, expected);
}
