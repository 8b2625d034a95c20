//! Which elements come and go, gathered over all Services of an update: a key may move from one
//! Service to another, and some elements serve several Services.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::IpAddr;

use foldhash::{HashMap, HashSet};

use crate::set::split_network;
use crate::{Bytes, Element, Family, SetName, layout};

type Key = (SetName, Bytes);

/// Gathers the difference of an update.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// In no order, each key once.
    gone: Vec<Element>,
    /// The same.
    new: Vec<Element>,
    /// How many Services need each element of the sets that several may need. There are tens of
    /// thousands, so what is kept of their keys is the address that they are made of.
    needed: HashMap<(SetName, IpAddr), u32>,
}

/// The elements of an update, each list sorted.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) added: Vec<Element>,
    pub(crate) replaced: Vec<Element>,
    pub(crate) deleted: Vec<Element>,
}

impl Changed {
    /// Takes out what may lead packets on only when all it leads to, the rules included, is there
    /// for every packet: detours of frontends that were served before, and frontends that are new
    /// and not for everybody.
    pub(crate) fn take_new_ways(&mut self) -> Vec<Element> {
        let new_frontends = served(&self.added);
        let restricted = keys_of(&self.added, SetName::Restricted);
        let added = std::mem::take(&mut self.added).into_iter();
        let (ways, rest) = added.partition(|element| match element.set {
            SetName::ExternalAddresses => restricted.contains(&element.key),
            _ => leaves(element, &new_frontends),
        });
        self.added = rest;
        ways
    }

    /// Takes out the detours that go from frontends that are still served: they go while what they
    /// lead to is still there.
    pub(crate) fn take_old_detours(&mut self, family: Family) -> Vec<Element> {
        let lost_frontends = served(&self.deleted);
        let unrestricted = keys_of(&self.deleted, SetName::Restricted);
        let deleted = std::mem::take(&mut self.deleted).into_iter();
        let (detours, rest) = deleted.partition(|element| match element.set {
            // Networks that go must not overlap with networks that come.
            SetName::AllowedSources => split_network(&element.key, family)
                .is_some_and(|(frontend, _)| !unrestricted.contains(&frontend)),
            _ => leaves(element, &lost_frontends),
        });
        self.deleted = rest;
        detours
    }
}

impl Changed {
    /// Takes out the endpoints that clients may not stay with any more, unless all clients go with
    /// their map: first nobody is to be sent there again, then nobody is sent there any more,
    /// then it may go.
    pub(crate) fn take_lost(&mut self, destroyed: &BTreeSet<SetName>) -> Vec<Element> {
        let deleted = std::mem::take(&mut self.deleted).into_iter();
        let (lost, rest) = deleted.partition(|element| {
            layout::companion(element.set).is_some_and(|map| !destroyed.contains(&map))
        });
        self.deleted = rest;
        lost
    }
}

fn keys_of(elements: &[Element], set: SetName) -> HashSet<Bytes> {
    let elements = elements.iter().filter(|element| element.set == set);
    elements.map(|element| element.key.clone()).collect()
}

/// The frontends whose clients from outside are let in.
fn served(elements: &[Element]) -> HashSet<Key> {
    let served =
        |element: &&Element| matches!(element.set, SetName::ExternalAddresses | SetName::NodePorts);
    let keys = elements.iter().filter(served);
    keys.map(|element| (element.set, element.key.clone()))
        .collect()
}

/// Whether the element leads packets away from what they would find without it, at a frontend that
/// is not one of `except`.
fn leaves(element: &Element, except: &HashSet<Key>) -> bool {
    let served = match element.set {
        SetName::LocalPolicy | SetName::Restricted => SetName::ExternalAddresses,
        SetName::LocalPolicyNodePorts => SetName::NodePorts,
        _ => return false,
    };
    !except.contains(&(served, element.key.clone()))
}

impl Difference {
    /// Counts what one Service needs, where there is nothing yet to differ from.
    pub(crate) fn count(&mut self, elements: impl Iterator<Item = Element>) {
        for shared in elements.filter_map(|element| shared(&element)) {
            *self.needed.entry(shared).or_default() += 1;
        }
    }

    /// Adds what one Service contributes. Both lists are sorted.
    pub(crate) fn between(
        &mut self,
        old: impl Iterator<Item = Element>,
        new: impl Iterator<Item = Element>,
    ) {
        let (mut old, mut new) = (old.peekable(), new.peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.cmp(new),
            };
            if order.is_le() {
                let element = old.next().filter(|_| order.is_lt());
                element.into_iter().for_each(|element| self.lose(element));
            }
            if order.is_ge() {
                let element = new.next().filter(|_| order.is_gt());
                element.into_iter().for_each(|element| self.gain(element));
            }
        }
    }

    fn lose(&mut self, element: Element) {
        if let Some(shared) = shared(&element) {
            let needed = self.needed.entry(shared).or_insert(1);
            *needed -= 1;
            if *needed > 0 {
                return;
            }
            self.needed.remove(&shared);
        }
        self.gone.push(element);
    }

    fn gain(&mut self, element: Element) {
        if let Some(shared) = shared(&element) {
            let needed = self.needed.entry(shared).or_default();
            *needed += 1;
            if *needed > 1 {
                return;
            }
        }
        self.new.push(element);
    }

    /// The elements of the update that has been gathered; starts a new one.
    pub(crate) fn take(&mut self) -> Changed {
        let [mut gone, mut new] = [&mut self.gone, &mut self.new].map(std::mem::take);
        gone.sort_unstable();
        new.sort_unstable();
        let mut changed = Changed::default();
        let mut gone = gone.into_iter().peekable();
        for element in new {
            let of_before =
                |before: &Element| (before.set, &before.key).cmp(&(element.set, &element.key));
            while let Some(before) = gone.next_if(|before| of_before(before).is_lt()) {
                changed.deleted.push(before);
            }
            match gone.next_if(|before| of_before(before).is_eq()) {
                None => changed.added.push(element),
                Some(before) if before.value != element.value => changed.replaced.push(element),
                Some(_) => {}
            }
        }
        changed.deleted.extend(gone);
        changed
    }
}

/// The set and the address of an element that several Services may need: an address contested for a
/// moment, a pod behind several Services. Keys of all other sets have one owner.
fn shared(element: &Element) -> Option<(SetName, IpAddr)> {
    let key = &*element.key.0;
    let address = match element.set {
        SetName::ClusterIps => key,
        // The address of a pod, twice.
        SetName::Hairpin => &key[..key.len() / 2],
        _ => return None,
    };
    let address = match <[u8; 4]>::try_from(address) {
        Ok(address) => address.into(),
        Err(_) => <[u8; 16]>::try_from(address).ok()?.into(),
    };
    Some((element.set, address))
}
