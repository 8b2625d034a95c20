//! The planner of one family.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_model::{Affinity, Changes, Node, ObjectName, Protocol, Service, Snapshot};
use foldhash::{HashMap, HashMapExt};

use crate::affinity;
use crate::connections::{Counter, counters};
use crate::difference::Difference;
use crate::flows::{self, NodePortDestination};
use crate::found::SlotsByFrontend;
use crate::frontend::{Claims, Conflict, Contest, Frontend};
use crate::layout;
use crate::lint::lint;
use crate::service::Planned;
use crate::{Chain, Change, Element, Family, Observed, Options, Ruleset, SetName, Transaction};

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
    chains: Vec<Chain>,
    found: SlotsByFrontend,
    /// What the last update planned anew, if connections are counted.
    replanned: BTreeSet<ObjectName>,
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
            node: snapshot.node.clone(),
            services: HashMap::new(),
            claims: Claims::default(),
            difference: Difference::default(),
            on_demand: BTreeMap::new(),
            chains: Vec::new(),
            found: SlotsByFrontend::new(family, elements_of(observed)),
            replanned: BTreeSet::new(),
        };
        let services = || {
            let services = snapshot.services.values();
            services.filter(|service| Frontend::has_any(service, family))
        };
        for service in services() {
            planner.claims.replace(family, None, Some(service));
        }
        for service in services() {
            let planned = planner.plan(service);
            planner.difference.count(planned.elements.iter());
            for (set, elements) in planned.elements.sets() {
                if !layout::is_permanent(set) {
                    *planner.on_demand.entry(set).or_default() += elements;
                }
            }
            planner.services.insert(service.name.clone(), planned);
        }
        planner.chains = planner.chains_with(&planner.sets_on_demand());
        planner.found = SlotsByFrontend::default();
        if planner.options.count_connections {
            planner.replanned = snapshot.services.keys().cloned().collect();
        }
        debug_assert_eq!(lint(&planner.ruleset()), Vec::<String>::new());
        planner
    }

    pub(crate) fn update(&mut self, snapshot: &Snapshot, changes: &Changes) -> Transaction {
        let mut affected = changes.services.clone();
        let node = std::mem::replace(&mut self.node, snapshot.node.clone());
        let matters = |node: &Node| (node.name.clone(), node.zone.clone(), node.addresses.clone());
        if matters(&node) != matters(&self.node) {
            affected.extend(self.services.keys().cloned());
        }

        for name in &changes.services {
            let old = self.services.get(name).map(|planned| &*planned.service);
            let new = snapshot.services.get(name).map(|service| &**service);
            affected.extend(self.claims.replace(self.family, old, new));
        }
        if self.options.count_connections {
            self.replanned.clone_from(&affected);
        }
        for name in affected {
            self.replan(name, snapshot);
        }

        let rules_may_differ = *node != *self.node || self.chains.is_empty();
        let transaction = self.transaction(rules_may_differ);
        debug_assert_eq!(lint(&self.ruleset()), Vec::<String>::new());
        transaction
    }

    fn replan(&mut self, name: ObjectName, snapshot: &Snapshot) {
        let new = snapshot
            .services
            .get(&name)
            .map(|service| self.plan(service));
        let old = self.services.remove(&name);
        let [before, after] =
            [&old, &new].map(|planned| planned.iter().flat_map(|planned| planned.elements.iter()));
        self.difference.between(before, after);
        // Most Services are of one family.
        let new = new.filter(|new| Frontend::has_any(&new.service, self.family));
        if let Some(new) = new {
            self.services.insert(name, new);
        }
    }

    fn plan(&self, service: &Arc<Service>) -> Planned {
        let owns = |frontend: &Frontend| self.claims.owner(frontend) == Some(&service.name);
        let before = self.services.get(&service.name);
        let before = before.map(|before| (&before.service, before.slots(self.family)));
        Planned::new(
            service,
            self.family,
            &self.options,
            &self.node,
            owns,
            |port| match &before {
                Some((before, slots)) => slots.of(before, self.family, port, |_| true),
                None => self.found.of(service, self.family, port, owns),
            },
        )
    }

    /// Sets come before their first element and go after their last; a rule looks into a set only
    /// while the set exists.
    fn transaction(&mut self, rules_may_differ: bool) -> Transaction {
        let mut transaction = Transaction::new(self.family);
        let mut changed = self.difference.take();
        let before = self.sets_on_demand();
        for element in &changed.added {
            if !layout::is_permanent(element.set) {
                *self.on_demand.entry(element.set).or_default() += 1;
            }
        }
        let during = self.sets_on_demand();
        for element in &changed.deleted {
            if let Some(count) = self.on_demand.get_mut(&element.set) {
                *count -= 1;
            }
        }
        self.on_demand.retain(|_, count| *count > 0);
        let after = self.sets_on_demand();
        let created: Vec<SetName> = during.difference(&before).copied().collect();
        let destroyed: BTreeSet<SetName> = during.difference(&after).copied().collect();
        let lost = changed.take_lost(&destroyed);
        transaction.outdated = affinity::outdated_by(&lost);
        let new_ways = changed.take_new_ways();
        let old_detours = changed.take_old_detours(self.family);

        let make = &mut transaction.make;
        make.extend(created.iter().copied().map(Change::CreateSet));
        if rules_may_differ || !created.is_empty() {
            let chains = self.chains_with(&during);
            make.extend(rewrite(&self.chains, &chains));
            self.chains = chains;
        }
        make.extend(old_detours.into_iter().map(Change::Delete));
        make.extend(lost.into_iter().map(Change::Delete));
        make.extend(changed.added.into_iter().map(Change::Add));
        make.extend(changed.replaced.into_iter().map(Change::Replace));

        let release = &mut transaction.release;
        release.extend(new_ways.into_iter().map(Change::Add));
        let deleted = changed.deleted.into_iter();
        release.extend(
            deleted
                .filter(|element| !destroyed.contains(&element.set))
                .map(Change::Delete),
        );
        if !destroyed.is_empty() {
            let chains = self.chains_with(&after);
            release.extend(rewrite(&self.chains, &chains));
            self.chains = chains;
        }
        let names = destroyed.iter().map(SetName::to_string);
        release.extend(names.map(Change::DestroySet));
        transaction
    }

    /// The sets that exist only while somebody needs them.
    fn sets_on_demand(&self) -> BTreeSet<SetName> {
        let sets = || self.on_demand.keys().copied();
        sets().chain(sets().filter_map(layout::companion)).collect()
    }

    /// All chains, when these sets exist beside the permanent ones.
    fn chains_with(&self, on_demand: &BTreeSet<SetName>) -> Vec<Chain> {
        let on_demand = on_demand.iter().copied();
        let sets = layout::permanent_sets().chain(on_demand).collect();
        layout::chains(self.family, &self.options, &self.node, &sets)
    }

    pub(crate) fn ruleset(&self) -> Ruleset {
        let mut sets: BTreeMap<SetName, Vec<_>> = layout::permanent_sets()
            .chain(self.sets_on_demand())
            .map(|set| (set, Vec::new()))
            .collect();
        for planned in self.services.values() {
            let mut elements = planned.elements.iter();
            for (set, count) in planned.elements.sets() {
                let pairs = elements.by_ref().take(count);
                let set = sets.entry(set).or_default();
                set.extend(pairs.map(|element| (element.key, element.value)));
            }
        }
        // Much faster than one element after the other: they are sorted once, and lie together.
        let sets = sets.into_iter();
        Ruleset {
            family: self.family,
            sets: sets
                .map(|(set, pairs)| (set, pairs.into_iter().collect()))
                .collect(),
            chains: self.chains.clone(),
        }
    }

    pub(crate) fn forget(&self, clients: &[Element]) -> Transaction {
        let services = self.services.values();
        let sticky = services.filter(|planned| planned.service.affinity != Affinity::None);
        let reasons = affinity::reasons_in(sticky.flat_map(|planned| planned.elements.iter()));
        affinity::forget(self.family, clients.iter(), |set, key| {
            reasons.contains(&(set, key.clone()))
        })
    }

    pub(crate) fn owners(&self, element: &Element) -> Vec<ObjectName> {
        let mut owners: Vec<_> = self
            .services
            .iter()
            .filter(|(_, planned)| planned.elements.iter().any(|own| own == *element))
            .map(|(name, _)| name.clone())
            .collect();
        owners.sort_unstable();
        owners
    }

    pub(crate) fn replanned(&self) -> &BTreeSet<ObjectName> {
        &self.replanned
    }

    pub(crate) fn counters(&self, name: &ObjectName) -> Vec<Counter> {
        let planned = self.services.get(name);
        planned.map_or_else(Vec::new, |planned| counters(planned, self.family))
    }

    pub(crate) fn flow_context(&self) -> flows::Context<'_> {
        let scope = layout::node_port_addresses(self.family, &self.options, &self.node);
        flows::Context {
            family: self.family,
            node: &self.node,
            claims: &self.claims,
            scope: NodePortDestination(scope),
            protocols: match self.options.reset_removed_endpoints {
                true => &[Protocol::Udp, Protocol::Tcp],
                false => &[Protocol::Udp],
            },
        }
    }

    pub(crate) fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.claims.contested().map(|contest| {
            let Contest {
                frontend,
                owner,
                loser,
            } = contest;
            let service = self.services.get(loser).map(|planned| &*planned.service);
            let asked = service.map(|service| Frontend::of(service, self.family));
            let asked = asked.iter().flatten();
            let mut asked = asked.filter(|exposed| exposed.frontend == frontend);
            Conflict {
                loser: loser.clone(),
                field: asked.next().map_or("", |exposed| exposed.access.field()),
                frontend: frontend.to_string(),
                owner: owner.clone(),
            }
        })
    }
}

fn elements_of(observed: &Observed) -> impl Iterator<Item = Element> {
    observed.sets.iter().flat_map(|set| &set.elements).cloned()
}

/// The chains that come and go, and the rules that differ.
fn rewrite(old: &[Chain], new: &[Chain]) -> Vec<Change> {
    let is_in = |chains: &[Chain], name| chains.iter().any(|chain| chain.name == name);
    let created = new.iter().filter(|chain| !is_in(old, chain.name));
    let create = created.map(|chain| Change::CreateChain {
        name: chain.name,
        hook: chain.hook,
    });
    let differing = new.iter().filter(|chain| !old.contains(chain));
    let set = differing.cloned().map(Change::SetRules);
    // A chain stands before those that jump to it, and goes after them.
    let destroyed = old.iter().rev().filter(|chain| !is_in(new, chain.name));
    let destroy = destroyed.flat_map(|chain| {
        let name = chain.name.to_owned();
        [Change::ClearRules(name.clone()), Change::DestroyChain(name)]
    });
    create.chain(set).chain(destroy).collect()
}
