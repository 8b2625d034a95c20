use std::collections::BTreeMap;
use std::time::Duration;

use fairway_model::stable_hash;
use fairway_router::UsableEndpoint;

use super::*;
use crate::clock::Tick;

struct Endpoints {
    endpoints: Vec<Rc<Endpoint>>,
    sums: Vec<u32>,
    next: Cell<usize>,
    random: Random,
}

impl Endpoints {
    fn new(weights: &[u8]) -> Self {
        let endpoint = |number: usize| {
            let address = format!("10.0.0.{number}:80").parse().unwrap();
            Rc::new(Endpoint::new(&UsableEndpoint::new(address), 0))
        };
        let sums = weights.iter().scan(0, |sum, weight| {
            *sum += u32::from(*weight);
            Some(*sum)
        });
        Self {
            endpoints: (1..=weights.len()).map(endpoint).collect(),
            sums: sums.collect(),
            next: Cell::new(0),
            random: Random::seeded(7),
        }
    }

    fn pick_if(&self, pick: Pick, may: impl Fn(usize) -> bool) -> Option<usize> {
        let weight =
            |place: usize| self.sums[place] - if place == 0 { 0 } else { self.sums[place - 1] };
        let candidates = Candidates {
            endpoints: &self.endpoints,
            sums: &self.sums,
            even: (0..self.sums.len()).all(|place| weight(place) == weight(0)),
            next: &self.next,
            again: false,
        };
        candidates.pick(pick, &self.random, may)
    }

    fn pick(&self, pick: Pick) -> usize {
        self.pick_if(pick, |_| true).unwrap()
    }

    /// How often each was picked.
    fn shares(&self, count: usize, pick: impl Fn(usize) -> Pick) -> Vec<usize> {
        let mut shares = vec![0; self.endpoints.len()];
        for number in 0..count {
            shares[self.pick(pick(number))] += 1;
        }
        shares
    }
}

#[test]
fn nothing_to_choose_from() {
    for pick in [
        Pick::RoundRobin,
        Pick::LeastRequests,
        Pick::PeakEwma,
        Pick::Hash(1),
    ] {
        assert_eq!(Endpoints::new(&[]).pick_if(pick, |_| true), None);
        assert_eq!(Endpoints::new(&[1, 1]).pick_if(pick, |_| false), None);
        assert_eq!(Endpoints::new(&[1, 2]).pick_if(pick, |_| false), None);
        assert_eq!(
            Endpoints::new(&[1, 2, 1]).pick_if(pick, |it| it == 2),
            Some(2)
        );
        assert_eq!(
            Endpoints::new(&[1; 100]).pick_if(pick, |it| it == 99),
            Some(99)
        );
    }
}

#[test]
fn turns_are_taken_smoothly_and_by_weight() {
    let even = Endpoints::new(&[1, 1, 1]);
    let turns: Vec<_> = (0..6).map(|_| even.pick(Pick::RoundRobin)).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    let weighted = Endpoints::new(&[5, 1, 1]);
    let turns: Vec<_> = (0..7).map(|_| weighted.pick(Pick::RoundRobin)).collect();
    assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0], "as nginx documents it");
}

#[test]
fn turns_of_those_that_are_left_alone_go_to_all_others() {
    let endpoints = Endpoints::new(&[1; 4]);
    let mut shares = [0; 4];
    for _ in 0..1200 {
        let place = endpoints.pick_if(Pick::RoundRobin, |place| place != 1);
        shares[place.unwrap()] += 1;
    }
    assert_eq!(shares[1], 0);
    for share in [shares[0], shares[2], shares[3]] {
        assert!((395..=405).contains(&share), "{shares:?}");
    }
}

#[test]
fn of_two_the_one_with_less_to_do() {
    let endpoints = Endpoints::new(&[1; 10]);
    endpoints.endpoints[3].under_way.set(1000);
    assert_eq!(endpoints.shares(10_000, |_| Pick::LeastRequests)[3], 0);
    // A thousand requests that never end lie nearly even: at random, the fullest would have 130.
    let endpoints = Endpoints::new(&[1; 10]);
    for _ in 0..1000 {
        let place = endpoints.pick(Pick::LeastRequests);
        let under_way = &endpoints.endpoints[place].under_way;
        under_way.set(under_way.get() + 1);
    }
    let loads: Vec<_> = endpoints
        .endpoints
        .iter()
        .map(|it| it.under_way.get())
        .collect();
    assert!(
        loads.iter().all(|load| (97..=103).contains(load)),
        "{loads:?}"
    );
}

#[test]
fn weights_hold_without_load_and_under_it() {
    let endpoints = Endpoints::new(&[3, 1]);
    let idle = endpoints.shares(4000, |_| Pick::LeastRequests);
    // Seven standard deviations of a fair draw.
    assert!((2810..=3190).contains(&idle[0]), "{idle:?}");
    for _ in 0..4000 {
        let place = endpoints.pick(Pick::LeastRequests);
        let under_way = &endpoints.endpoints[place].under_way;
        under_way.set(under_way.get() + 1);
    }
    let heavy = endpoints.endpoints[0].under_way.get();
    assert!((2990..=3010).contains(&heavy), "{heavy}");
}

#[test]
fn the_quicker_of_two_and_the_new_one_once() {
    let endpoints = Endpoints::new(&[1, 1]);
    let took = |place: usize, millis| {
        let latency = &endpoints.endpoints[place].latency;
        latency.observe(Duration::from_millis(millis), Tick::ZERO);
    };
    took(0, 1);
    assert_eq!(endpoints.pick(Pick::PeakEwma), 1, "nothing is known of it");
    endpoints.endpoints[1].under_way.set(1);
    assert_eq!(endpoints.pick(Pick::PeakEwma), 0, "it has one to answer");
    endpoints.endpoints[1].under_way.set(0);
    took(1, 100);
    assert_eq!(endpoints.shares(100, |_| Pick::PeakEwma), [100, 0]);
    endpoints.endpoints[0].under_way.set(100);
    assert_eq!(
        endpoints.pick(Pick::PeakEwma),
        1,
        "a hundred of 1 ms take longer"
    );
}

fn key(number: usize) -> u64 {
    stable_hash(&number.to_be_bytes())
}

#[test]
fn keys_are_spread_by_weight() {
    let even = Endpoints::new(&[1; 8]).shares(80_000, |number| Pick::Hash(key(number)));
    assert!(
        even.iter().all(|share| (9_500..=10_500).contains(share)),
        "{even:?}"
    );
    let weighted = Endpoints::new(&[6, 3, 1]).shares(100_000, |number| Pick::Hash(key(number)));
    for (share, expected) in weighted.iter().zip([60_000_i32, 30_000, 10_000]) {
        assert!((*share as i32 - expected).abs() < 1_000, "{weighted:?}");
    }
}

#[test]
fn only_the_keys_of_a_lost_endpoint_move_and_to_all_others() {
    for weights in [&[1_u8; 8][..], &[1, 2, 3, 4, 5, 6, 7, 8]] {
        let endpoints = Endpoints::new(weights);
        let mut moved = BTreeMap::<usize, usize>::new();
        for number in 0..20_000 {
            let pick = Pick::Hash(key(number));
            let before = endpoints.pick(pick);
            let after = endpoints.pick_if(pick, |place| place != 7).unwrap();
            match before {
                7 => *moved.entry(after).or_default() += 1,
                before => assert_eq!(after, before),
            }
        }
        assert_eq!(moved.len(), 7, "{moved:?}");
    }
}

/// Another node, and the next version, send a key to the same endpoint.
#[test]
fn where_keys_go_is_fixed_for_good() {
    let even = Endpoints::new(&[1; 5]);
    let weighted = Endpoints::new(&[1, 2, 3, 4, 5]);
    let of = |endpoints: &Endpoints, key: &[u8]| endpoints.pick(Pick::Hash(stable_hash(key)));
    let keys: [&[u8]; 8] = [
        b"",
        b"a",
        b"b",
        b"alice",
        b"bob",
        b"10.0.0.1",
        b"2001:db8::1",
        b"/",
    ];
    assert_eq!(keys.map(|key| of(&even, key)), [4, 2, 4, 2, 2, 0, 4, 2]);
    assert_eq!(keys.map(|key| of(&weighted, key)), [4, 2, 4, 2, 4, 2, 4, 2]);
}
