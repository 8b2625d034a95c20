//! Random histories against a naive reading of what the transactions do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use fairway_model::Protocol;
use proptest::prelude::*;

use self::objects::{is_local, step};
use super::explained::explained;
use super::remember::remember;
use super::tests::{Bench, port, service};
use super::walk::{Generation, Outcome, Packet, Sets, lets_in, outcomes, outcomes_behind};
use super::*;
use crate::set::split_network;
use crate::{Bytes, Chain, Change, LocalPods, ObservedChain, ObservedSet, SetName, SlotClass};

mod objects;

/// The kernel's reading of a batch, as strict as the kernel is.
fn apply(sets: &mut Sets, changes: &[Change]) {
    for change in changes {
        match change {
            Change::CreateSet(set) => assert!(sets.insert(*set, BTreeMap::new()).is_none()),
            Change::DestroySet(set) => {
                let set = set.parse().unwrap();
                assert!(sets.remove(&set).is_some());
            }
            Change::Add(element) => {
                let set = sets.get_mut(&element.set).expect("the set is there");
                let before = set.insert(element.key.clone(), element.value.clone());
                assert_eq!(before, None, "{element:?} is there already");
                assert!(!overlaps(set, element), "{element:?} overlaps with another");
            }
            Change::Replace(element) => {
                let set = sets.get_mut(&element.set).expect("the set is there");
                let before = set.insert(element.key.clone(), element.value.clone());
                assert!(before.is_some(), "{element:?} is not there");
            }
            Change::Delete(element) => {
                let set = sets.get_mut(&element.set).expect("the set is there");
                assert!(
                    set.remove(&element.key).is_some(),
                    "{element:?} is not there"
                );
            }
            _ => {}
        }
    }
}

/// Whether another network of the same frontend shares addresses with this one.
fn overlaps(set: &BTreeMap<Bytes, Bytes>, element: &Element) -> bool {
    if element.set != SetName::AllowedSources {
        return false;
    }
    let split = |key: &Bytes| split_network(key, Family::Ip4).unwrap();
    let (frontend, network) = split(&element.key);
    let mut others = set.keys().filter(|key| **key != element.key).map(split);
    others
        .any(|(of, other)| of == frontend && (other.contains(&network) || network.contains(&other)))
}

/// The same for chains.
fn apply_rules(chains: &mut Vec<Chain>, changes: &[Change]) {
    for change in changes {
        match change {
            Change::CreateChain { name, hook } => {
                assert!(chains.iter().all(|chain| chain.name != *name));
                chains.push(Chain {
                    name,
                    hook: *hook,
                    rules: Vec::new(),
                });
            }
            Change::SetRules(chain) => {
                let mut there = chains.iter_mut();
                let there = there.find(|there| there.name == chain.name);
                *there.expect("the chain is there") = chain.clone();
            }
            Change::ClearRules(name) => {
                let mut there = chains.iter_mut();
                let there = there.find(|there| there.name == name.as_str());
                there.expect("the chain is there").rules.clear();
            }
            Change::DestroyChain(name) => {
                let position = chains.iter().position(|chain| chain.name == name.as_str());
                chains.remove(position.expect("the chain is there"));
            }
            _ => {}
        }
    }
}

fn after(generation: &Generation, changes: &[Change]) -> Generation {
    let mut generation = generation.clone();
    apply(&mut generation.sets, changes);
    apply_rules(&mut generation.chains, changes);
    generation
}

/// What a client can tell apart: whether anybody answers, and who.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Served,
    By(Bytes),
    Dropped,
    /// Refused by us, or by whoever gets what does not concern us.
    Nobody,
}

fn seen(outcomes: BTreeSet<Outcome>) -> BTreeSet<Seen> {
    let seen = outcomes.into_iter().flat_map(|outcome| match outcome {
        Outcome::Translated { endpoint, .. } => vec![Seen::Served, Seen::By(endpoint)],
        Outcome::Dropped => vec![Seen::Dropped],
        Outcome::Refused | Outcome::Passed => vec![Seen::Nobody],
    });
    seen.collect()
}

/// Packets from everywhere to a frontend that pass while the transaction is executed meet the old
/// or the new state.
fn leaves_no_gap(
    old: &Generation,
    made: &Generation,
    new: &Generation,
    packet: &Packet,
) -> Result<(), TestCaseError> {
    let packets = SOURCES.map(|source| packet.from(source));
    let strangers = [old, new].map(without_clients);
    let everything = packets.map(|packet| {
        let outcomes = strangers.each_ref();
        let outcomes = outcomes.map(|generation| outcomes_behind(generation, &packet));
        seen(outcomes.into_iter().flatten().collect())
    });
    // While a frontend changes hands or policy, all of its endpoints are as good.
    let endpoints = everything.iter().flatten();
    let endpoints: BTreeSet<&Seen> = endpoints
        .filter(|seen| matches!(seen, Seen::By(_)))
        .collect();

    for (packet, everything) in packets.iter().zip(&everything) {
        // Who is let in and what is behind it may be of different age.
        let lets_in = [old, new].map(|generation| lets_in(generation, packet));
        let mut allowed = endpoints.clone();
        if lets_in.contains(&true) {
            allowed.extend(everything);
        }
        // Who comes too early or too late may as well hear nothing and ask again.
        if lets_in.contains(&false) || allowed.contains(&Seen::Nobody) {
            allowed.insert(&Seen::Dropped);
        }
        for (before, after) in [(old, made), (made, new)] {
            let met = outcomes(before, after, packet);
            for outcome in &met {
                prop_assert!(comes_back(packet, outcome), "{packet:?}: {outcome:?}");
            }
            let met = seen(met);
            let met: BTreeSet<&Seen> = met.iter().collect();
            prop_assert!(met.is_subset(&allowed), "{packet:?}: {met:?}, {allowed:?}");
        }
    }
    Ok(())
}

/// The same table before anybody asked.
fn without_clients(generation: &Generation) -> Generation {
    let mut generation = generation.clone();
    for (set, elements) in &mut generation.sets {
        if set.is_filled_by_packets() {
            elements.clear();
        }
    }
    generation
}

/// Where a packet of a client may go, if it is let in.
fn endpoints(generation: &Generation, packet: &Packet) -> BTreeSet<Bytes> {
    let outcomes = outcomes_behind(generation, packet).into_iter();
    let endpoints = outcomes.filter_map(|outcome| match outcome {
        Outcome::Translated { endpoint, .. } => Some(endpoint),
        _ => None,
    });
    endpoints.collect()
}

/// Removes the clients that the planner has forgotten. Who may still use the endpoint that he was
/// sent to before, and has the same timeout, is not among them; who may not, is.
fn forget(
    planner: &Planner,
    kernel: &mut Generation,
    outdated: &BTreeSet<SetName>,
) -> Result<(), TestCaseError> {
    let remembered = |kernel: &Generation| -> BTreeSet<Element> {
        let maps = kernel
            .sets
            .iter()
            .filter(|(set, _)| set.is_filled_by_packets());
        let clients = maps.flat_map(|(set, clients)| {
            clients.iter().map(|(key, value)| Element {
                set: *set,
                key: key.clone(),
                value: value.clone(),
            })
        });
        clients.collect()
    };
    let before = remembered(kernel);
    let read: Vec<_> = before
        .iter()
        .filter(|client| outdated.contains(&client.set))
        .cloned()
        .collect();
    apply(&mut kernel.sets, &planner.forget(Family::Ip4, &read).make);
    let after = remembered(kernel);
    let may_stay = |client: &Element| {
        let (key, value) = (&client.key.0, &client.value.0);
        let [address, node_port] =
            [4, 8].map(|skipped| Bytes([&key[skipped..], value].concat().into()));
        let is_in = |set, key| {
            kernel
                .sets
                .get(&set)
                .is_some_and(|set| set.contains_key(key))
        };
        match client.set {
            SetName::Clients(timeout) => {
                is_in(SetName::AffinityEndpoints(timeout), &address)
                    || is_in(SetName::AffinityNodePortEndpoints(timeout), &node_port)
            }
            SetName::LocalClients(timeout) => {
                is_in(SetName::LocalAffinityEndpoints(timeout), &address)
                    || is_in(SetName::LocalAffinityNodePortEndpoints(timeout), &node_port)
            }
            _ => unreachable!(),
        }
    };
    // Those in a map that is about to go as a whole need not be looked at.
    let stay = planner.ruleset(Family::Ip4).sets;
    for client in before
        .iter()
        .filter(|client| stay.contains_key(&client.set))
    {
        prop_assert_eq!(after.contains(client), may_stay(client), "{:?}", client);
    }
    Ok(())
}

/// Every client goes where it went before, as long as that is one of the places it may go to. A
/// frontend that comes under the policy `Local`, or leaves it, begins anew with clients outside.
fn clients_stay(kernel: &Generation) -> Result<(), TestCaseError> {
    let strangers = without_clients(kernel);
    for packet in packets().flat_map(|packet| SOURCES.map(|source| packet.from(source))) {
        let (any, own) = (endpoints(&strangers, &packet), endpoints(kernel, &packet));
        prop_assert!(own.is_subset(&any), "{packet:?}: {own:?}, {any:?}");
        let node_port = Bytes::new().protocol(packet.protocol).port(packet.port);
        let address = Bytes::new().address(packet.destination);
        let address = Bytes([&address.0[..], &node_port.0].concat().into());
        let client = Bytes::new().address(packet.source);
        let client = Bytes([&client.0[..], &address.0].concat().into());
        let is_in = |set, key| {
            kernel
                .sets
                .get(&set)
                .is_some_and(|set| set.contains_key(key))
        };
        let local = is_in(SetName::LocalPolicy, &address)
            || is_in(SetName::LocalPolicyNodePorts, &node_port);
        let maps = kernel.sets.iter().filter(|(set, _)| match set {
            SetName::Clients(_) => !(local && packet.source == OUTSIDE),
            SetName::LocalClients(_) => local && packet.source == OUTSIDE,
            _ => false,
        });
        let homes = maps.filter_map(|(_, clients)| clients.get(&client));
        let homes: BTreeSet<_> = homes.cloned().collect();
        if !homes.is_disjoint(&any) {
            let stays = own.len() == 1 && own.is_subset(&homes);
            prop_assert!(stays, "{packet:?}: {own:?}, {homes:?}");
        }
    }
    Ok(())
}

/// Lets everybody connect, here and there.
fn connect(kernel: &mut Generation, pick: usize) {
    for packet in packets().flat_map(|packet| SOURCES.map(|source| packet.from(source))) {
        let endpoints = endpoints(kernel, &packet);
        let endpoint = endpoints.iter().nth(pick % endpoints.len().max(1));
        if let Some(endpoint) = endpoint {
            remember(kernel, &packet, endpoint);
        }
    }
}

/// The reply to a client outside passes this node: its endpoint is here, or it was masqueraded.
fn comes_back(packet: &Packet, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Translated {
            endpoint,
            masquerade: false,
        } if packet.source == OUTSIDE => is_local(endpoint.0[3]),
        _ => true,
    }
}

const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
pub(super) const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 244, 1, 200));
const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

pub(super) const SOURCES: [IpAddr; 3] = [OUTSIDE, POD, NODE];

/// First packets to everything that the Services of [`Wanted`] may have.
pub(super) fn packets() -> impl Iterator<Item = Packet> {
    let destinations = (1..4).flat_map(|number| {
        [
            (IpAddr::from([10, 96, 0, number]), 80),
            (IpAddr::from([198, 51, 100, number]), 80),
            (NODE, 30_000 + u16::from(number)),
        ]
    });
    destinations.map(|(destination, number)| Packet {
        source: OUTSIDE,
        from_node: false,
        destination,
        to_node: destination == NODE,
        protocol: Protocol::Tcp,
        port: port(number),
    })
}

fn by_name(chains: &[Chain]) -> BTreeMap<&str, &Chain> {
    chains.iter().map(|chain| (chain.name, chain)).collect()
}

fn observe(ruleset: &Ruleset) -> Observed {
    Observed {
        table: true,
        chains: ruleset
            .chains
            .iter()
            .map(|chain| ObservedChain {
                name: chain.name.into(),
                hook: chain.hook,
                rules: chain
                    .rules
                    .iter()
                    .map(|rule| Some(rule.fingerprint()))
                    .collect(),
            })
            .collect(),
        sets: ruleset
            .sets
            .iter()
            .map(|(name, elements)| ObservedSet {
                name: name.to_string(),
                ours: Some(*name),
                elements: elements
                    .iter()
                    .map(|(key, value)| Element {
                        set: *name,
                        key: key.clone(),
                        value: value.clone(),
                    })
                    .collect(),
            })
            .collect(),
    }
}

impl Packet {
    pub(super) fn from(self, source: IpAddr) -> Self {
        Self {
            source,
            from_node: source == NODE,
            ..self
        }
    }
}

fn options(count_connections: bool) -> Options {
    Options {
        count_connections,
        local_pods: LocalPods::ClusterCidr(vec!["10.244.0.0/16".parse().unwrap()]),
        ..Options::default()
    }
}

proptest! {
    // A case is dozens of packets at dozens of moments; PROPTEST_CASES asks for more of them.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.div_ceil(4),
        ..ProptestConfig::default()
    })]

    #[test]
    fn transactions_lead_to_the_plan_and_leave_no_gap(
        steps in proptest::collection::vec(step(), 1..8),
        pick in 0usize..24,
        counting in any::<bool>(),
    ) {
        let mut bench = Bench::with(options(counting));
        let start = bench.planner.ruleset(Family::Ip4);
        let mut kernel = Generation {
            chains: start.chains,
            sets: start.sets,
        };
        for step in steps {
            let names = ["a", "b", "c", "d"];
            let services: BTreeMap<&str, _> = step
                .into_iter()
                .map(|(index, wanted)| {
                    let name = names[index];
                    (name, wanted.map(|wanted| wanted.service(name)))
                })
                .collect();
            let transaction = bench.update(&services.into_iter().collect::<Vec<_>>());

            let mut made = after(&kernel, &transaction.make);
            forget(&bench.planner, &mut made, &transaction.outdated)?;
            let released = after(&made, &transaction.release);
            let planned = bench.planner.ruleset(Family::Ip4);
            prop_assert_eq!(&without_clients(&released).sets, &planned.sets);
            prop_assert_eq!(by_name(&released.chains), by_name(&planned.chains));
            for packet in packets() {
                leaves_no_gap(&kernel, &made, &released, &packet)?;
            }
            kernel = released;
            explained(&options(counting), &bench.snapshot, &without_clients(&kernel))?;
            clients_stay(&kernel)?;
            connect(&mut kernel, pick);
            clients_stay(&kernel)?;
        }

        // A restart finds nothing to do, whatever the history.
        let ruleset = bench.planner.ruleset(Family::Ip4);
        let observed = observe(&ruleset);
        let nothing = Observed::default();
        let (_, [restart, _]) =
            Planner::start(options(counting), &bench.snapshot, [&observed, &nothing]);
        prop_assert!(restart.is_empty(), "{:?}", restart);
    }

    #[test]
    fn any_half_right_table_is_repaired(
        left_out in proptest::collection::btree_set(0usize..40, 0..20),
        hosts in proptest::collection::btree_set(1u8..40, 1..24),
    ) {
        let mut bench = Bench::new();
        bench.add(service("a", 0, 1, &hosts.into_iter().collect::<Vec<_>>()));
        let ruleset = bench.planner.ruleset(Family::Ip4);
        let mut observed = observe(&ruleset);
        observed.sets[0].elements.push(Element {
            set: SetName::ClusterIps,
            key: Bytes::new().address([192, 0, 2, 1].into()),
            value: Bytes::new(),
        });
        let mut index = 0;
        for set in &mut observed.sets {
            set.elements.retain(|_| {
                index += 1;
                !left_out.contains(&index)
            });
        }
        let mut kernel: Sets = observed
            .sets
            .iter()
            .map(|set| {
                let elements = set.elements.iter();
                let pairs = elements.map(|element| (element.key.clone(), element.value.clone()));
                (set.ours.unwrap(), pairs.collect())
            })
            .collect();
        let repair = bench.planner.repair(Family::Ip4, &observed);
        apply(&mut kernel, &repair.make);
        apply(&mut kernel, &repair.release);
        prop_assert_eq!(kernel, ruleset.sets);
    }
}

#[test]
fn every_count_has_a_class_that_leaves_no_draw_without_an_answer() {
    for count in 1..3_000 {
        let class = SlotClass::of(count).unwrap();
        let sure = match class.is_exact() {
            true => class.slots(),
            false => class.slots() / 2,
        };
        assert!(sure as usize <= count && count <= class.slots() as usize);
    }
}
