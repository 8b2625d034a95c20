//! How many connections each client has, over all workers.
//!
//! Only asked when a connection opens, and only where there is a limit: this is the one lock that workers
//! share, and it is in pieces.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

/// Pieces, so that workers seldom wait for each other.
const PIECES: usize = 16;

/// The IPv6 networks that count as one client: a subscriber has at least that much.
const PREFIX: u8 = 64;

/// The connections of every client that has any.
#[derive(Debug)]
pub(crate) struct ClientConnections {
    limit: u32,
    hasher: RandomState,
    pieces: [Mutex<HashMap<IpAddr, u32, RandomState>>; PIECES],
}

impl ClientConnections {
    /// At most so many for each client.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit,
            hasher: RandomState::default(),
            pieces: Default::default(),
        }
    }

    /// One more connection; None if the client has as many as it may.
    pub(crate) fn open(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let client = network(client);
        let mut piece = self.piece(client);
        let count = piece.entry(client).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place {
            connections: self.clone(),
            client,
        })
    }

    fn piece(&self, client: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, u32, RandomState>> {
        let index = self.hasher.hash_one(client) as usize % PIECES;
        let piece = self.pieces[index].lock();
        piece.unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection of a client, for as long as it is open.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<ClientConnections>,
    client: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut piece = self.connections.piece(self.client);
        match piece.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            // Forgotten: memory is for those who are here.
            _ => drop(piece.remove(&self.client)),
        }
    }
}

fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let host = u128::MAX >> PREFIX;
            Ipv6Addr::from_bits(address.to_bits() & !host).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(connections: &Arc<ClientConnections>, client: &str) -> Option<Place> {
        connections.open(client.parse().unwrap())
    }

    #[test]
    fn each_client_has_its_own_and_networks_of_ipv6_share() {
        let connections = Arc::new(ClientConnections::new(2));
        let first = open(&connections, "192.0.2.1").unwrap();
        let _second = open(&connections, "192.0.2.1").unwrap();
        assert!(open(&connections, "192.0.2.1").is_none());
        let _other = open(&connections, "192.0.2.2").unwrap();
        drop(first);
        let _third = open(&connections, "192.0.2.1").unwrap();

        let _one = open(&connections, "2001:db8::1").unwrap();
        let _two = open(&connections, "2001:db8::2").unwrap();
        assert!(open(&connections, "2001:db8::3").is_none());
        open(&connections, "2001:db8:0:1::3").unwrap();
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let connections = Arc::new(ClientConnections::new(2));
        let places: Vec<_> = (0..100_u8)
            .filter_map(|last| connections.open([10, 0, 0, last].into()))
            .collect();
        drop(places);
        let empty = |piece: &Mutex<HashMap<_, _, _>>| piece.lock().unwrap().is_empty();
        assert!(connections.pieces.iter().all(empty));
    }
}
