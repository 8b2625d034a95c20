//! The endpoints of an upstream at one time.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use fairway_router::UsableEndpoint;

use super::endpoint::Endpoint;
use super::pick::{Candidates, Pick};
use crate::clock::Tick;
use crate::random::Random;

#[derive(Debug, Default)]
pub(super) struct Members {
    /// What they were made from.
    pub(super) source: Arc<[UsableEndpoint]>,
    /// Near ones first.
    pub(super) endpoints: Box<[Rc<Endpoint>]>,
    /// Absent where none are preferred.
    near: Option<Tier>,
    all: Tier,
}

/// The first of the endpoints, or all.
#[derive(Debug, Default)]
struct Tier {
    /// Sums of weights up to and including each endpoint; as many as there are endpoints.
    sums: Box<[u32]>,
    /// All weigh the same.
    even: bool,
    /// Whose turn it is.
    next: Cell<usize>,
    /// How many are left alone.
    ejected: Cell<usize>,
}

impl Members {
    /// Endpoints that were there `before` keep what is known of them.
    pub(super) fn new(source: &Arc<[UsableEndpoint]>, before: &Self, random: &Random) -> Self {
        let old = before.endpoints.iter();
        let mut old: HashMap<SocketAddr, _, foldhash::fast::RandomState> =
            old.map(|endpoint| (endpoint.address, endpoint)).collect();
        // Where a turn begins is random, so that workers and nodes do not walk in step, and neither a
        // restart nor a change sends the next burst to the same first endpoint.
        let total = source
            .iter()
            .map(|it| usize::from(it.weight))
            .sum::<usize>();
        let turn = || i64::try_from(random.below(total.max(1))).unwrap_or(0);
        let endpoints = source.iter().map(|it| match old.remove(&it.address) {
            Some(known) => known.clone(),
            None => Rc::new(Endpoint::new(it, turn())),
        });
        let endpoints = endpoints.collect();
        old.into_values()
            .for_each(|endpoint| endpoint.gone.set(true));
        let near = source.partition_point(|it| !it.is_remote);
        let members = Self {
            source: source.clone(),
            endpoints,
            near: (near < source.len()).then(|| Tier::new(&source[..near], random)),
            all: Tier::new(source, random),
        };
        members.count_ejected();
        members
    }

    pub(super) fn count_ejected(&self) {
        for tier in self.near.iter().chain([&self.all]) {
            let endpoints = self.endpoints[..tier.sums.len()].iter();
            let ejected = endpoints.filter(|endpoint| endpoint.health.is_ejected());
            tier.ejected.set(ejected.count());
        }
    }

    /// The next endpoint to ask: a near one while most of them answer, else any that answers, and when
    /// most of all do not, any: then it is not the endpoints that are broken, or it is all of them.
    pub(super) fn pick(
        &self,
        pick: Pick,
        random: &Random,
        now: Tick,
        tried: &[u16],
    ) -> Option<usize> {
        let is_new = |place: usize| {
            !self.endpoints[place].gone.get() && !tried.iter().any(|it| usize::from(*it) == place)
        };
        let near = self.near.as_ref();
        let tiers = near.into_iter().chain([&self.all]);
        let healthy = tiers
            .filter(|tier| !tier.is_mostly_ejected())
            .find_map(|tier| {
                let may = |place: usize| {
                    let admitted =
                        tier.ejected.get() == 0 || self.endpoints[place].health.admits(now);
                    admitted && is_new(place)
                };
                self.candidates(tier, tried).pick(pick, random, may)
            });
        healthy.or_else(|| self.candidates(&self.all, tried).pick(pick, random, is_new))
    }

    fn candidates<'a>(&'a self, tier: &'a Tier, tried: &[u16]) -> Candidates<'a> {
        Candidates {
            endpoints: &self.endpoints[..tier.sums.len()],
            sums: &tier.sums,
            even: tier.even,
            next: &tier.next,
            again: !tried.is_empty(),
        }
    }
}

impl Tier {
    fn new(source: &[UsableEndpoint], random: &Random) -> Self {
        let sums = source.iter().scan(0_u32, |sum, endpoint| {
            *sum += u32::from(endpoint.weight.max(1));
            Some(*sum)
        });
        Self {
            sums: sums.collect(),
            even: source
                .windows(2)
                .all(|pair| pair[0].weight == pair[1].weight),
            next: Cell::new(random.below(source.len().max(1))),
            ejected: Cell::new(0),
        }
    }

    /// The panic limit, Envoy's default.
    fn is_mostly_ejected(&self) -> bool {
        self.ejected.get() * 2 > self.sums.len()
    }
}
