//! Which slot each endpoint has where a client is to find the same endpoint from every node: Maglev
//! hashing (Eisenbud et al., "Maglev", NSDI 2016, section 3.4). See
//! `docs/decisions/0011-maglev.md`.

use std::net::{IpAddr, SocketAddr};

use fairway_model::stable_hash;

/// A kind of Maglev table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaglevTable {
    /// What a slot is found by.
    pub by: HashedBy,
    /// How many slots there are.
    pub size: TableSize,
}

/// What a slot of a Maglev table is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashedBy {
    /// The client's address.
    Client,
    /// The client's address and port.
    Connection,
}

impl HashedBy {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Client, Self::Connection];
}

/// How many slots the clients of a service port are hashed to; see [`TableSize::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableSize {
    /// In `ALL`: sets are named by it, and there is one of these in every list of elements.
    index: u8,
}

impl TableSize {
    /// Primes, so that an endpoint comes by every slot whatever its step is. Few of them: most clients
    /// move when a Service crosses from one to the next.
    const ALL: [u32; 5] = [509, 2_039, 8_191, 32_749, 65_521];

    /// So many slots a share at least, but for the largest table: shares differ by one slot, that is
    /// by 2 percent at most.
    const SLOTS_PER_SHARE: u32 = 50;

    /// The smallest table that splits clients evenly enough into so many shares.
    pub fn of(shares: usize) -> Self {
        let fits = |size: &u32| (size / Self::SLOTS_PER_SHARE) as usize >= shares;
        let fitting = Self::ALL.iter().position(fits);
        Self::at(fitting.unwrap_or(Self::ALL.len() - 1))
    }

    /// The table of exactly so many slots, if there is one.
    pub fn exactly(slots: u32) -> Option<Self> {
        let sizes = &mut Self::ALL.iter();
        sizes.position(|size| *size == slots).map(Self::at)
    }

    fn at(index: usize) -> Self {
        let index = u8::try_from(index).expect("there are few sizes");
        Self { index }
    }

    /// The number of slots.
    pub fn slots(self) -> u32 {
        Self::ALL[usize::from(self.index)]
    }
}

/// The endpoint of every slot, from each endpoint as often as it has shares. It depends on nothing
/// but these, in any order, so that all nodes come to the same. One endpoint alone has one slot.
///
/// Where an endpoint goes depends on its address only: ports of a Service that are served at the
/// same addresses send a client to the same one.
pub(crate) fn table(mut shares: Vec<SocketAddr>) -> Box<[SocketAddr]> {
    shares.sort_unstable();
    let size = TableSize::of(shares.len()).slots();
    let mut endpoints = shares.clone();
    endpoints.dedup();
    if endpoints.len() < 2 {
        return endpoints.into();
    }
    let preference = |endpoint: &SocketAddr| Preference::of(endpoint.ip(), size);
    let mut preferences: Vec<_> = endpoints.iter().map(preference).collect();
    let mut slots: Vec<Option<SocketAddr>> = vec![None; size as usize];
    let turns = shares.iter().scan(0, |turn, share| {
        *turn += usize::from(endpoints[*turn] != *share);
        Some(*turn)
    });
    for turn in turns.cycle().take(slots.len()) {
        let is_free = |slot: &usize| slots[*slot].is_none();
        if let Some(slot) = preferences[turn].find(is_free) {
            slots[slot] = Some(endpoints[turn]);
        }
    }
    slots.into_iter().flatten().collect()
}

/// The slots in the order in which an endpoint would have them, again and again.
struct Preference {
    next: u32,
    step: u32,
    size: u32,
}

impl Preference {
    fn of(address: IpAddr, size: u32) -> Self {
        let hash = hash(address);
        let [high, low] = [hash >> 32, hash & 0xffff_ffff].map(|half| half as u32);
        Self {
            next: high % size,
            step: 1 + low % (size - 1),
            size,
        }
    }
}

impl Iterator for Preference {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let slot = self.next;
        self.next = (slot + self.step) % self.size;
        Some(slot as usize)
    }
}

fn hash(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => stable_hash(&address.octets()),
        IpAddr::V6(address) => stable_hash(&address.octets()),
    }
}

#[cfg(test)]
mod tests;
