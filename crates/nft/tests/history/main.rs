//! Random histories of a cluster: whatever came before, the tables are those that would be planned
//! for the same cluster from nothing.
//!
//! Some changes run with the other tests; `FAIRWAY_RANDOM_CHANGES` asks for more.

#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

mod cluster;
mod tables;

use std::cell::Cell;
use std::time::Instant;

use fairway_model::{Changes, Snapshot};
use fairway_nft::{Dataplane, Fake};
use fairway_plan::{Family, Planner, Transaction, lint};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};

use cluster::{Step, options, steps};
use tables::{from_nothing, same_but_for_slots};

/// To plan everything from nothing takes as long as dozens of updates.
const LOOK_EVERY: usize = 8;

/// How many changes of objects the test is to see at least.
fn wanted_changes() -> usize {
    let wanted = std::env::var("FAIRWAY_RANDOM_CHANGES");
    wanted.map_or(1_000, |number| number.parse().expect("a number of changes"))
}

#[test]
fn any_history_leads_to_what_is_planned_from_nothing() {
    let started = Instant::now();
    let (changes, updates) = (Cell::new(0), Cell::new(0));
    // A few cases at a time, so that the number of changes decides when it is enough.
    let config = ProptestConfig {
        cases: 8,
        failure_persistence: None,
        // Of a history that fails the shortest part is looked for, not for ever.
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    };
    while changes.get() < wanted_changes() {
        let ran = TestRunner::new(config.clone()).run(&steps(), |steps| {
            let seen: usize = steps.iter().map(Step::objects).sum();
            changes.set(changes.get() + seen);
            updates.set(updates.get() + steps.len());
            live_through(steps)
        });
        ran.unwrap_or_else(|error| panic!("{error}"));
    }
    println!(
        "{} changes of objects in {} updates, {:.0?}",
        changes.get(),
        updates.get(),
        started.elapsed()
    );
}

fn live_through(steps: Vec<Step>) -> TestCaseResult {
    let mut kernel = Fake::new();
    let mut snapshot = Snapshot::default();
    let mut planner = start(&mut kernel, &snapshot)?;
    let last = steps.len() - 1;
    for (number, step) in steps.into_iter().enumerate() {
        let transactions = match step {
            Step::Restart => {
                let writes = kernel.writes();
                planner = start(&mut kernel, &snapshot)?;
                prop_assert_eq!(kernel.writes(), writes, "a restart changes nothing");
                continue;
            }
            Step::Flush => {
                kernel.flush();
                Family::ALL.map(|family| {
                    let observed = kernel.read(family).unwrap();
                    planner.repair(family, &observed)
                })
            }
            Step::Change(objects) => {
                let mut changes = Changes::default();
                for object in objects {
                    object.apply(&mut snapshot, &mut changes);
                }
                planner.update(&snapshot, &changes)
            }
        };
        commit(&mut kernel, &transactions)?;
        if number % LOOK_EVERY == 0 || number == last {
            look(&kernel, &snapshot)?;
        }
    }
    Ok(())
}

fn look(kernel: &Fake, snapshot: &Snapshot) -> TestCaseResult {
    for planned in from_nothing(snapshot) {
        let held = kernel.ruleset(planned.family);
        let mut held = held.expect("a table of ours alone");
        same_but_for_slots(&held, &planned)?;
        // The fake has chains in the order in which they came.
        held.chains = planned.chains;
        prop_assert_eq!(lint(&held), Vec::<String>::new());
    }
    Ok(())
}

fn start(kernel: &mut Fake, snapshot: &Snapshot) -> Result<Planner, TestCaseError> {
    let [ip4, ip6] = Family::ALL.map(|family| kernel.read(family).unwrap());
    let (planner, transactions) = Planner::start(options(), snapshot, [&ip4, &ip6]);
    commit(kernel, &transactions)?;
    Ok(planner)
}

/// The fake is stricter than the kernel: nothing is added twice or deleted where it is not.
fn commit(kernel: &mut Fake, transactions: &[Transaction]) -> TestCaseResult {
    for transaction in transactions {
        let report = kernel.commit(transaction);
        let report = report.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(report.refused, []);
    }
    Ok(())
}
