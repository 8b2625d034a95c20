use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Weak};

/// The sockets that a proxy listens with, for the one that follows it in the same process.
///
/// A listener that closes resets the connections whose handshake is not over, also where another one listens at
/// the same address. One that is handed on never closes.
#[derive(Clone, Debug, Default)]
pub struct ListeningSockets(Vec<(SocketAddr, Vec<Weak<TcpListener>>)>);

impl ListeningSockets {
    pub(super) fn add(&mut self, address: SocketAddr, sockets: &[Arc<TcpListener>]) {
        let sockets = sockets.iter().map(Arc::downgrade).collect();
        self.0.push((address, sockets));
    }

    /// Those that somebody still accepts from, once more.
    pub(super) fn at(&self, address: SocketAddr) -> io::Result<Vec<Arc<TcpListener>>> {
        let at_address = self.0.iter().filter(|(at, _)| *at == address);
        let sockets = at_address.flat_map(|(_, sockets)| sockets);
        let accepting = sockets.filter_map(Weak::upgrade);
        accepting
            .map(|socket| Ok(Arc::new(socket.try_clone()?)))
            .collect()
    }
}
