//! One table of the stand-in.

use std::collections::{BTreeMap, BTreeSet};

use fairway_plan::{Bytes, Change, Hook, Rule, SetName, Statement};

use crate::error::Errno;

#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) sets: BTreeMap<SetName, BTreeMap<Bytes, Bytes>>,
    pub(super) chains: Vec<FakeChain>,
    pub(super) foreign_sets: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(super) struct FakeChain {
    pub(super) name: &'static str,
    pub(super) hook: Option<Hook>,
    /// None for somebody else's rule.
    pub(super) rules: Vec<Option<Rule>>,
}

impl Table {
    /// `refused` says that the element's key was refused before.
    pub(super) fn apply(&mut self, change: &Change, refused: bool) -> Result<(), Errno> {
        match change {
            Change::CreateTable | Change::DestroyTable => {}
            Change::CreateSet(name) => {
                if self.sets.contains_key(name) {
                    return Err(Errno::EEXIST);
                }
                self.sets.insert(*name, BTreeMap::new());
            }
            Change::DestroySet(name) => {
                if self.uses_set(name) {
                    return Err(Errno::EBUSY);
                }
                let ours = name.parse().ok().and_then(|name| self.sets.remove(&name));
                if ours.is_none() && !self.foreign_sets.remove(name) {
                    return Err(Errno::ENOENT);
                }
            }
            Change::CreateChain { name, hook } => {
                if self.chain(name).is_some() {
                    return Err(Errno::EEXIST);
                }
                self.chains.push(FakeChain {
                    name,
                    hook: *hook,
                    rules: Vec::new(),
                });
            }
            Change::DestroyChain(name) => {
                if self.uses_chain(name) {
                    return Err(Errno::EBUSY);
                }
                let position = self.chains.iter().position(|chain| chain.name == *name);
                self.chains.remove(position.ok_or(Errno::ENOENT)?);
            }
            Change::SetRules(wanted) => {
                for statement in wanted.rules.iter().flat_map(|rule| &rule.statements) {
                    self.check(statement)?;
                }
                let chain = self.chain(wanted.name).ok_or(Errno::ENOENT)?;
                chain.rules = wanted.rules.iter().cloned().map(Some).collect();
            }
            Change::ClearRules(name) => {
                self.chain(name).ok_or(Errno::ENOENT)?.rules.clear();
            }
            Change::Add(element) => {
                let set = self.sets.get_mut(&element.set).ok_or(Errno::ENOENT)?;
                if set.contains_key(&element.key) {
                    return Err(Errno::EEXIST);
                }
                set.insert(element.key.clone(), element.value.clone());
            }
            Change::Replace(element) => {
                let set = self.sets.get_mut(&element.set).ok_or(Errno::ENOENT)?;
                let old = set.insert(element.key.clone(), element.value.clone());
                if old.is_none() && !refused {
                    return Err(Errno::ENOENT);
                }
            }
            Change::Delete(element) => {
                let set = self.sets.get_mut(&element.set).ok_or(Errno::ENOENT)?;
                let may_be_gone = refused || element.set.is_filled_by_packets();
                if set.remove(&element.key).is_none() && !may_be_gone {
                    return Err(Errno::ENOENT);
                }
            }
        }
        Ok(())
    }

    /// What a statement names must exist.
    fn check(&self, statement: &Statement) -> Result<(), Errno> {
        let found = match statement {
            Statement::InSet { set, .. }
            | Statement::Translate { map: set, .. }
            | Statement::Remember { map: set, .. }
            | Statement::Forget { map: set, .. } => self.sets.contains_key(set),
            Statement::Jump(name) | Statement::Goto(name) => {
                self.chains.iter().any(|chain| chain.name == *name)
            }
            _ => true,
        };
        if found { Ok(()) } else { Err(Errno::ENOENT) }
    }

    fn uses_set(&self, name: &str) -> bool {
        self.statements().any(|statement| match statement {
            Statement::InSet { set, .. }
            | Statement::Translate { map: set, .. }
            | Statement::Remember { map: set, .. }
            | Statement::Forget { map: set, .. } => set.to_string() == name,
            _ => false,
        })
    }

    fn uses_chain(&self, name: &str) -> bool {
        self.statements().any(|statement| match statement {
            Statement::Jump(chain) | Statement::Goto(chain) => *chain == name,
            _ => false,
        })
    }

    fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.chains
            .iter()
            .flat_map(|chain| chain.rules.iter().flatten())
            .flat_map(|rule| &rule.statements)
    }

    pub(super) fn chain(&mut self, name: &str) -> Option<&mut FakeChain> {
        self.chains.iter_mut().find(|chain| chain.name == name)
    }
}
