//! A stand-in for the kernel: holds tables in memory, and is stricter than the kernel with whoever
//! plans the transactions.

use std::collections::{BTreeMap, BTreeSet};

use fairway_plan::{
    Bytes, Chain, Change, Element, Family, Observed, ObservedChain, ObservedSet, Rule, Ruleset,
    SetName, Transaction,
};

use crate::error::{Errno, Error};
use crate::{Dataplane, Refused, Report};

use self::table::{FakeChain, Table};

mod table;
#[cfg(test)]
mod tests;

/// Tables in memory.
///
/// Adding an element whose key is there, replacing or deleting one that is not there, naming sets
/// or chains that are not there and removing those in use are errors, also where the kernel
/// would let it pass: a planner that keeps its books never does it.
#[derive(Clone, Debug, Default)]
pub struct Fake {
    tables: BTreeMap<Family, Table>,
    /// Elements to refuse, by set and key.
    refusing: BTreeMap<(SetName, Bytes), Errno>,
    /// Elements that were refused: to remove or replace them is not a mistake of the planner.
    refused: BTreeSet<(Family, SetName, Bytes)>,
    /// Families whose tables can be neither read nor written.
    failing: BTreeSet<Family>,
    failing_cleanup: bool,
    /// What elements have counted since they are there.
    counted: BTreeMap<(Family, SetName, Bytes), u64>,
    writes: usize,
    commits: usize,
}

impl Fake {
    /// No tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes taken so far.
    pub fn writes(&self) -> usize {
        self.writes
    }

    /// Transactions taken so far that were not empty.
    pub fn commits(&self) -> usize {
        self.commits
    }

    /// From now on refuses to add this key to this set, in either family.
    pub fn refuse(&mut self, set: SetName, key: Bytes, errno: Errno) {
        self.refusing.insert((set, key), errno);
    }

    /// Refuses nothing any more.
    pub fn refuse_nothing(&mut self) {
        self.refusing.clear();
    }

    /// From now on fails whatever concerns a family, until told otherwise.
    pub fn fail(&mut self, family: Family, failing: bool) {
        match failing {
            true => self.failing.insert(family),
            false => self.failing.remove(&family),
        };
    }

    /// From now on cannot remove what is no longer used, until told otherwise.
    pub fn fail_cleanup(&mut self, failing: bool) {
        self.failing_cleanup = failing;
    }

    /// Does what `nft flush ruleset` does.
    pub fn flush(&mut self) {
        self.tables.clear();
        self.refused.clear();
        self.counted.clear();
    }

    /// Does what a packet does that is remembered: adds the element unless its key is there, or
    /// there is no such map.
    pub fn remember(&mut self, family: Family, element: Element) {
        let map = self
            .tables
            .get_mut(&family)
            .and_then(|table| table.sets.get_mut(&element.set));
        if let Some(map) = map {
            map.entry(element.key).or_insert(element.value);
        }
    }

    /// Does what so many packets do that find an element of a set that counts; nothing if it is not
    /// there.
    pub fn count(&mut self, family: Family, set: SetName, key: &Bytes, packets: u64) {
        let there = Self::elements(self, family, set);
        if there.is_some_and(|elements| elements.contains_key(key)) {
            *self.counted.entry((family, set, key.clone())).or_default() += packets;
        }
    }

    /// Lets somebody else add a set to our table, which is created where needed.
    pub fn add_foreign_set(&mut self, family: Family, name: &str) {
        let table = self.tables.entry(family).or_default();
        table.foreign_sets.insert(name.to_owned());
    }

    /// Lets somebody else append a rule to a chain of our table; both are created where needed.
    pub fn add_foreign_rule(&mut self, family: Family, chain: &'static str) {
        let table = self.tables.entry(family).or_default();
        if table.chain(chain).is_none() {
            table.chains.push(FakeChain {
                name: chain,
                hook: None,
                rules: Vec::new(),
            });
        }
        if let Some(chain) = table.chain(chain) {
            chain.rules.push(None);
        }
    }

    /// The elements of a set; None where the set does not exist.
    pub fn elements(&self, family: Family, set: SetName) -> Option<&BTreeMap<Bytes, Bytes>> {
        self.tables.get(&family)?.sets.get(&set)
    }

    /// Everything of a family that is ours, its chains in the order of their creation; None where
    /// the table does not exist, or somebody else has added to it.
    pub fn ruleset(&self, family: Family) -> Option<Ruleset> {
        let table = self.tables.get(&family)?;
        let chain = |chain: &FakeChain| {
            Some(Chain {
                name: chain.name,
                hook: chain.hook,
                rules: chain.rules.iter().cloned().collect::<Option<_>>()?,
            })
        };
        Some(Ruleset {
            family,
            sets: table.foreign_sets.is_empty().then(|| table.sets.clone())?,
            chains: table.chains.iter().map(chain).collect::<Option<_>>()?,
        })
    }

    fn check(&self, family: Family) -> Result<(), Error> {
        match self.failing.contains(&family) {
            true => Err(Error::Denied),
            false => Ok(()),
        }
    }

    fn run(
        &mut self,
        family: Family,
        changes: &[Change],
        report: &mut Report,
    ) -> Result<(), Failure> {
        for change in changes {
            let refusal = match change {
                Change::Add(element) | Change::Replace(element) => self
                    .refusing
                    .get(&(element.set, element.key.clone()))
                    .map(|errno| (element, *errno)),
                _ => None,
            };
            if let Some((element, errno)) = refusal {
                self.refused
                    .insert((family, element.set, element.key.clone()));
                report.refused.push(Refused {
                    element: element.clone(),
                    errno,
                });
                continue;
            }
            self.apply(family, change)
                .map_err(|errno| Failure(errno, format!("{change:?}")))?;
            report.writes += 1;
        }
        Ok(())
    }

    fn apply(&mut self, family: Family, change: &Change) -> Result<(), Errno> {
        let refused = match change {
            Change::Add(element) | Change::Replace(element) | Change::Delete(element) => self
                .refused
                .remove(&(family, element.set, element.key.clone())),
            Change::CreateTable => {
                self.tables.entry(family).or_default();
                return Ok(());
            }
            Change::DestroyTable => {
                self.tables.remove(&family);
                self.refused.retain(|(of, ..)| *of != family);
                self.counted.retain(|(of, ..), _| *of != family);
                return Ok(());
            }
            _ => false,
        };
        if let Change::Replace(element) | Change::Delete(element) = change {
            let key = (family, element.set, element.key.clone());
            self.counted.remove(&key);
        }
        let table = self.tables.get_mut(&family).ok_or(Errno::ENOENT)?;
        table.apply(change, refused)
    }
}

/// An error and the change it is about.
struct Failure(Errno, String);

impl Dataplane for Fake {
    fn read(&mut self, family: Family) -> Result<Observed, Error> {
        self.check(family)?;
        let Some(table) = self.tables.get(&family) else {
            return Ok(Observed::default());
        };
        let chains = table.chains.iter().map(|chain| ObservedChain {
            name: chain.name.to_owned(),
            hook: chain.hook,
            rules: chain
                .rules
                .iter()
                .map(|rule| rule.as_ref().map(Rule::fingerprint))
                .collect(),
        });
        let foreign = table.foreign_sets.iter().map(|name| ObservedSet {
            name: name.clone(),
            ours: None,
            elements: Vec::new(),
        });
        let ours = table.sets.iter().map(|(name, elements)| ObservedSet {
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
        });
        Ok(Observed {
            table: true,
            chains: chains.collect(),
            sets: ours.chain(foreign).collect(),
        })
    }

    fn elements(&mut self, family: Family, set: SetName) -> Result<Vec<Element>, Error> {
        let elements = Self::elements(self, family, set).into_iter().flatten();
        let elements = elements.map(|(key, value)| Element {
            set,
            key: key.clone(),
            value: value.clone(),
        });
        Ok(elements.collect())
    }

    fn counters(&mut self, family: Family, set: SetName) -> Result<Vec<(Bytes, u64)>, Error> {
        self.check(family)?;
        let elements = Self::elements(self, family, set);
        let keys: Vec<_> = elements
            .into_iter()
            .flat_map(|set| set.keys().cloned())
            .collect();
        self.counters_of(family, set, &keys)
    }

    fn counters_of(
        &mut self,
        family: Family,
        set: SetName,
        keys: &[Bytes],
    ) -> Result<Vec<(Bytes, u64)>, Error> {
        self.check(family)?;
        let there = Self::elements(self, family, set);
        let missing = |key: &&Bytes| there.is_none_or(|there| !there.contains_key(*key));
        if keys.iter().any(|key| missing(&key)) {
            return Err(Error::Socket("request", Errno::ENOENT.into()));
        }
        let packets = |key: &Bytes| {
            let counted = self.counted.get(&(family, set, key.clone()));
            (key.clone(), counted.copied().unwrap_or_default())
        };
        Ok(keys.iter().map(packets).collect())
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<Report, Error> {
        self.check(transaction.family)?;
        let mut report = Report::default();
        for (changes, cleanup) in [(&transaction.make, false), (&transaction.release, true)] {
            if cleanup && self.failing_cleanup && !changes.is_empty() {
                return Err(Error::Cleanup(Error::Denied.into()));
            }
            let before = (self.tables.clone(), self.refused.clone());
            self.run(transaction.family, changes, &mut report).map_err(
                |Failure(errno, change)| {
                    (self.tables, self.refused) = before;
                    Error::Refused {
                        what: change,
                        errno,
                        details: String::new(),
                        hint: ": this is a mistake of the planner".to_owned(),
                    }
                },
            )?;
        }
        self.writes += report.writes;
        self.commits += usize::from(!transaction.is_empty());
        Ok(report)
    }
}
