//! From what the kernel holds to what is planned.

use std::collections::{BTreeMap, BTreeSet};

use crate::affinity;
use crate::{Bytes, Change, Element, Observed, ObservedSet, Ruleset, SetName, Transaction};

/// The transaction that turns the observed table into the planned one; empty if they agree.
pub(crate) fn repair(planned: Ruleset, observed: &Observed) -> Transaction {
    let mut transaction = Transaction::new(planned.family);
    if !observed.table {
        transaction.make.push(Change::CreateTable);
        create(planned, &mut transaction.make);
        return transaction;
    }
    if must_rebuild(&planned, observed) {
        let make = &mut transaction.make;
        make.extend([Change::DestroyTable, Change::CreateTable]);
        create(planned, make);
        return transaction;
    }

    let known: BTreeMap<SetName, &ObservedSet> = observed
        .sets
        .iter()
        .filter_map(|set| Some((set.ours?, set)))
        .collect();
    let missing = planned.sets.keys().filter(|set| !known.contains_key(set));
    transaction
        .make
        .extend(missing.copied().map(Change::CreateSet));
    repair_chains(&planned, observed, &mut transaction);
    repair_elements(&planned, &known, &mut transaction);
    let stale_sets = observed.sets.iter().filter(|set| {
        set.ours
            .is_none_or(|name| !planned.sets.contains_key(&name))
    });
    transaction
        .release
        .extend(stale_sets.map(|set| Change::DestroySet(set.name.clone())));
    transaction
}

/// Some differences cannot be mended in place: a set of our name with another shape, a base chain
/// attached elsewhere. Replacing the table is one batch as well, so no packet notices.
fn must_rebuild(planned: &Ruleset, observed: &Observed) -> bool {
    let set_differs = observed
        .sets
        .iter()
        .filter(|set| set.ours.is_none())
        .filter_map(|set| set.name.parse::<SetName>().ok())
        .any(|name| planned.sets.contains_key(&name));
    let hook_differs = observed.chains.iter().any(|chain| {
        let wanted = planned
            .chains
            .iter()
            .find(|wanted| wanted.name == chain.name);
        wanted.is_some_and(|wanted| wanted.hook != chain.hook)
    });
    set_differs || hook_differs
}

/// Chains come last: where a batch has to end before that, no packet meets any of it.
fn create(planned: Ruleset, make: &mut Vec<Change>) {
    let Ruleset { sets, chains, .. } = planned;
    make.reserve(sets.values().map(BTreeMap::len).sum());
    make.extend(sets.keys().copied().map(Change::CreateSet));
    for (set, elements) in sets {
        let elements = elements.into_iter();
        let elements = elements.map(|(key, value)| Element { set, key, value });
        make.extend(elements.map(Change::Add));
    }
    make.extend(chains.iter().map(|chain| Change::CreateChain {
        name: chain.name,
        hook: chain.hook,
    }));
    make.extend(chains.into_iter().map(Change::SetRules));
}

fn repair_chains(planned: &Ruleset, observed: &Observed, transaction: &mut Transaction) {
    for chain in &planned.chains {
        let there = observed
            .chains
            .iter()
            .find(|there| there.name == chain.name);
        if there.is_none() {
            transaction.make.push(Change::CreateChain {
                name: chain.name,
                hook: chain.hook,
            });
        }
    }
    for chain in &planned.chains {
        let there = observed
            .chains
            .iter()
            .find(|there| there.name == chain.name);
        let wanted = chain.rules.iter().map(|rule| Some(rule.fingerprint()));
        if there.is_none_or(|there| !there.rules.iter().copied().eq(wanted)) {
            transaction.make.push(Change::SetRules(chain.clone()));
        }
    }
    let names: BTreeSet<&str> = planned.chains.iter().map(|chain| chain.name).collect();
    let stale = || {
        let chains = observed.chains.iter();
        chains.filter(|chain| !names.contains(chain.name.as_str()))
    };
    // All are emptied first, so that none is still jumped to when it goes.
    let release = &mut transaction.release;
    release.extend(stale().map(|chain| Change::ClearRules(chain.name.clone())));
    release.extend(stale().map(|chain| Change::DestroyChain(chain.name.clone())));
}

fn repair_elements(
    planned: &Ruleset,
    known: &BTreeMap<SetName, &ObservedSet>,
    transaction: &mut Transaction,
) {
    for (set, elements) in &planned.sets {
        if set.is_filled_by_packets() {
            let clients = known.get(set).into_iter().flat_map(|set| &set.elements);
            let outdated = affinity::forget(planned.family, clients, |set, key| {
                let endpoints = planned.sets.get(&set);
                endpoints.is_some_and(|endpoints| endpoints.contains_key(key))
            });
            transaction.release.extend(outdated.make);
            continue;
        }
        let there = known.get(set).into_iter().flat_map(|set| &set.elements);
        let mut there: Vec<&Element> = there.collect();
        there.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        // A set that grows while it is read may tell of an element twice.
        there.dedup_by(|one, other| one.key == other.key);
        let mut there = there.into_iter().peekable();
        let (mut stale, mut new) = (Vec::new(), Vec::new());
        for pair @ (key, value) in elements {
            stale.extend(std::iter::from_fn(|| {
                there.next_if(|there| there.key < *key)
            }));
            match there.next_if(|there| there.key == *key) {
                Some(there) if there.value == *value => {}
                Some(_) => new.push(Change::Replace(element(*set, pair))),
                None => new.push(Change::Add(element(*set, pair))),
            }
        }
        stale.extend(there);
        let stale = stale.into_iter().cloned().map(Change::Delete);
        // Networks that go must not overlap with networks that come.
        match set {
            SetName::AllowedSources => transaction.make.extend(stale),
            _ => transaction.release.extend(stale),
        }
        transaction.make.append(&mut new);
    }
}

fn element(set: SetName, (key, value): (&Bytes, &Bytes)) -> Element {
    Element {
        set,
        key: key.clone(),
        value: value.clone(),
    }
}
