//! The planner of one family.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use fairway_model::{Changes, Node, ObjectName, Service, ServicePort, Snapshot};

use crate::difference::Difference;
use crate::found::FoundSlots;
use crate::frontend::{Claims, Frontend};
use crate::layout;
use crate::lint::lint;
use crate::service::Planned;
use crate::{Change, Element, Family, Observed, Options, Ruleset, SetName, Transaction};

/// The planner of one family.
#[derive(Debug)]
pub(crate) struct FamilyPlanner {
    family: Family,
    options: Arc<Options>,
    node: Arc<Node>,
    services: HashMap<ObjectName, Planned>,
    claims: Claims,
    difference: Difference,
    /// The number of elements in each set that exists only while it has some.
    on_demand: BTreeMap<SetName, usize>,
    found: FoundSlots,
}

impl FamilyPlanner {
    pub(crate) fn start(
        family: Family,
        options: Arc<Options>,
        snapshot: &Snapshot,
        observed: &Observed,
    ) -> Self {
        let mut planner = Self {
            family,
            options,
            node: Arc::default(),
            services: HashMap::new(),
            claims: Claims::default(),
            difference: Difference::default(),
            on_demand: BTreeMap::new(),
            found: FoundSlots::new(family, observed),
        };
        planner.update(snapshot, &Changes::everything(snapshot));
        planner.found = FoundSlots::default();
        planner
    }

    pub(crate) fn update(&mut self, snapshot: &Snapshot, changes: &Changes) -> Transaction {
        let mut affected = changes.services.clone();
        if self.node.name != snapshot.node.name {
            affected.extend(self.services.keys().cloned());
        }
        self.node = snapshot.node.clone();

        for name in &changes.services {
            let old = self.services.get(name).map(|planned| &*planned.service);
            let new = snapshot.services.get(name).map(|service| &**service);
            affected.extend(self.claims.replace(self.family, old, new));
        }
        for name in affected {
            self.replan(name, snapshot);
        }

        let transaction = self.transaction();
        debug_assert_eq!(lint(&self.ruleset()), Vec::<String>::new());
        transaction
    }

    fn replan(&mut self, name: ObjectName, snapshot: &Snapshot) {
        let new = snapshot
            .services
            .get(&name)
            .map(|service| self.plan(service));
        let old = self.services.remove(&name);
        self.difference.between(
            old.as_ref().map_or(&[], |old| &old.elements),
            new.as_ref().map_or(&[], |new| &new.elements),
        );
        if let Some(new) = new {
            self.services.insert(name, new);
        }
    }

    fn plan(&self, service: &Arc<Service>) -> Planned {
        let before = self.services.get(&service.name);
        Planned::new(
            service,
            self.family,
            &self.node.name,
            |frontend| self.claims.owner(frontend) == Some(&service.name),
            |port| match before {
                Some(before) => before.slots(port),
                None => self.found_slots(service, port),
            },
        )
    }

    fn found_slots(&self, service: &Service, port: &ServicePort) -> Box<[SocketAddr]> {
        Frontend::of(service, self.family)
            .filter(|(_, of)| (of.protocol, of.port) == (port.protocol, port.port))
            .find_map(|(frontend, _)| self.found.of(frontend))
            .unwrap_or_default()
    }

    /// Sets come before their first element and go after their last; a rule looks into a set only
    /// while the set exists.
    fn transaction(&mut self) -> Transaction {
        let mut transaction = Transaction::new(self.family);
        let (make, release) = (&mut transaction.make, &mut transaction.release);
        let changed = self.difference.take();
        let before: BTreeSet<SetName> = self.on_demand.keys().copied().collect();
        for element in &changed.added {
            if !layout::is_permanent(element.set) {
                *self.on_demand.entry(element.set).or_default() += 1;
            }
        }
        let during: BTreeSet<SetName> = self.on_demand.keys().copied().collect();
        for element in &changed.deleted {
            if let Some(count) = self.on_demand.get_mut(&element.set) {
                *count -= 1;
            }
        }
        self.on_demand.retain(|_, count| *count > 0);
        let after: BTreeSet<SetName> = self.on_demand.keys().copied().collect();

        let created: BTreeSet<SetName> = during.difference(&before).copied().collect();
        make.extend(created.iter().copied().map(Change::CreateSet));
        make.extend(self.rules_of(&created, &during));
        make.extend(changed.added.into_iter().map(Change::Add));
        make.extend(changed.replaced.into_iter().map(Change::Replace));

        let destroyed: BTreeSet<SetName> = during.difference(&after).copied().collect();
        let deleted = changed.deleted.into_iter();
        release.extend(
            deleted
                .filter(|element| !destroyed.contains(&element.set))
                .map(Change::Delete),
        );
        release.extend(self.rules_of(&destroyed, &after));
        release.extend(
            destroyed
                .iter()
                .map(|set| Change::DestroySet(set.to_string())),
        );
        transaction
    }

    /// The rules of the chains that look into `changed`, when `on_demand` is what exists.
    fn rules_of(
        &self,
        changed: &BTreeSet<SetName>,
        on_demand: &BTreeSet<SetName>,
    ) -> impl Iterator<Item = Change> {
        let names: BTreeSet<_> = changed
            .iter()
            .copied()
            .filter_map(layout::chain_of)
            .collect();
        let chains = match names.is_empty() {
            true => Vec::new(),
            false => self.chains(on_demand.iter().copied()),
        };
        chains
            .into_iter()
            .filter(move |chain| names.contains(chain.name))
            .map(Change::SetRules)
    }

    fn chains(&self, on_demand: impl Iterator<Item = SetName>) -> Vec<crate::Chain> {
        let sets = layout::permanent_sets().chain(on_demand).collect();
        layout::chains(self.family, &self.options, &sets)
    }

    pub(crate) fn ruleset(&self) -> Ruleset {
        let mut sets: BTreeMap<SetName, BTreeMap<_, _>> = layout::permanent_sets()
            .chain(self.on_demand.keys().copied())
            .map(|set| (set, BTreeMap::new()))
            .collect();
        for element in self.services.values().flat_map(|planned| &planned.elements) {
            sets.entry(element.set)
                .or_default()
                .insert(element.key.clone(), element.value.clone());
        }
        Ruleset {
            family: self.family,
            sets,
            chains: self.chains(self.on_demand.keys().copied()),
        }
    }

    pub(crate) fn owners(&self, element: &Element) -> Vec<ObjectName> {
        let mut owners: Vec<_> = self
            .services
            .iter()
            .filter(|(_, planned)| planned.elements.binary_search(element).is_ok())
            .map(|(name, _)| name.clone())
            .collect();
        owners.sort_unstable();
        owners
    }

    pub(crate) fn conflicts(&self) -> impl Iterator<Item = String> {
        self.claims.contested()
    }
}
