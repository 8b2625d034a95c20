//! The ways of choosing among endpoints: pure but for what they remember in the endpoints themselves.

use std::cell::Cell;
use std::rc::Rc;

use super::endpoint::Endpoint;
use crate::random::Random;

/// Draws for an endpoint that may be asked, before all are looked at. With half of them left alone, which
/// is the most, all draws miss once in sixteen times.
const DRAWS: usize = 4;

/// How one request chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    RoundRobin,
    LeastRequests,
    PeakEwma,
    /// By the hash of the request's key.
    Hash(u64),
}

/// Endpoints to choose from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates<'a> {
    pub(super) endpoints: &'a [Rc<Endpoint>],
    /// Sums of weights up to and including each endpoint.
    pub(super) sums: &'a [u32],
    /// All weigh the same.
    pub(super) even: bool,
    /// Whose turn is next.
    pub(super) next: &'a Cell<usize>,
    /// The request was somewhere else before. It takes no turn: with two endpoints of which one fails, that
    /// one would otherwise have every turn.
    pub(super) again: bool,
}

impl Candidates<'_> {
    /// The place of an endpoint for which `may` holds; None if it holds for none.
    pub(super) fn pick(
        self,
        pick: Pick,
        random: &Random,
        may: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        match pick {
            Pick::RoundRobin => self.in_turn(may),
            Pick::LeastRequests => self.better_of_two(random, may, |endpoint, weight| {
                f64::from(endpoint.under_way.get()) / f64::from(weight)
            }),
            Pick::PeakEwma => self.better_of_two(random, may, |endpoint, weight| {
                endpoint.latency.cost(endpoint.under_way.get()) / f64::from(weight)
            }),
            Pick::Hash(key) => self.by_hash(key, may),
        }
    }

    fn weight(&self, place: usize) -> u32 {
        self.sums[place] - place.checked_sub(1).map_or(0, |before| self.sums[before])
    }

    fn in_turn(self, may: impl Fn(usize) -> bool) -> Option<usize> {
        if self.even && !self.again {
            let next = self.next.get() % self.endpoints.len().max(1);
            self.next.set(next + 1);
            if next < self.endpoints.len() && may(next) {
                return Some(next);
            }
        }
        self.in_weighted_turn(may)
    }

    /// nginx's smooth weighted round robin: 2 and 1 make `a b a`, not `a a b`. Those that may not be
    /// asked leave their turns to all others, not to the next one.
    fn in_weighted_turn(self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for (place, endpoint) in self.endpoints.iter().enumerate() {
            if !may(place) {
                continue;
            }
            let weight = i64::from(self.weight(place));
            total += weight;
            endpoint
                .turn
                .set(endpoint.turn.get().saturating_add(weight));
            if best.is_none_or(|best| endpoint.turn > self.endpoints[best].turn) {
                best = Some(place);
            }
        }
        let turn = &self.endpoints[best?].turn;
        turn.set(turn.get().saturating_sub(total));
        best
    }

    /// The power of two choices (Mitzenmacher 2001): nearly as even as the best of all, without the herd
    /// that the best of all draws. Of equals the first drawn, so that weights hold without load, too.
    fn better_of_two(
        self,
        random: &Random,
        may: impl Fn(usize) -> bool,
        cost: impl Fn(&Endpoint, u32) -> f64,
    ) -> Option<usize> {
        let one = self.draw(random, &may)?;
        let Some(other) = self.draw(random, |place| place != one && may(place)) else {
            return Some(one);
        };
        let cost = |place: usize| cost(&self.endpoints[place], self.weight(place));
        Some(if cost(other) < cost(one) { other } else { one })
    }

    /// One at random, by weight.
    fn draw(self, random: &Random, may: impl Fn(usize) -> bool) -> Option<usize> {
        let total = *self.sums.last()? as usize;
        for _ in 0..DRAWS {
            let place = match self.even {
                true => random.below(self.endpoints.len()),
                false => {
                    let ticket = random.below(total) as u32;
                    self.sums.partition_point(|sum| *sum <= ticket)
                }
            };
            if may(place) {
                return Some(place);
            }
        }
        let places = 0..self.endpoints.len();
        let total: u32 = (places.clone().filter(|place| may(*place)))
            .map(|place| self.weight(place))
            .sum();
        let mut ticket = random.below((total as usize).max(1)) as u32;
        places.filter(|place| may(*place)).find(|place| {
            let weight = self.weight(*place);
            let hit = ticket < weight;
            ticket = ticket.saturating_sub(weight);
            hit
        })
    }

    /// Rendezvous hashing (Thaler and Ravishankar 1998), weighted as by Mosharaf and Schindelhauer: every
    /// endpoint has a score for every key, and the best one that may be asked has the key. When one goes,
    /// only its keys move, each to another endpoint. See `docs/decisions/0013-rendezvous-hashing.md`.
    fn by_hash(self, key: u64, may: impl Fn(usize) -> bool) -> Option<usize> {
        let scored = (self.endpoints.iter().enumerate())
            .filter(|(place, _)| may(*place))
            .map(|(place, endpoint)| (place, mix(key ^ endpoint.hash)));
        if self.even {
            return Some(scored.max_by_key(|(_, score)| *score)?.0);
        }
        let weighted = scored.map(|(place, score)| {
            // Between 0 and 1, and neither: 53 bits are what fits.
            let uniform = ((score >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            (place, -uniform.ln() / f64::from(self.weight(place)))
        });
        Some(weighted.min_by(|one, other| one.1.total_cmp(&other.1))?.0)
    }
}

/// The finalizer of SplitMix64: each bit of the input moves half of those of the output.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
