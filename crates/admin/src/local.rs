//! The admin socket: for processes of this machine, by a name in the network namespace.

use std::io;
use std::os::unix::net::{SocketAddr, UnixListener as Blocking};

use tokio::net::{UnixListener, UnixStream};

/// A socket that listens to root and to our own user only.
#[derive(Debug)]
pub struct LocalListener(UnixListener);

impl LocalListener {
    /// Binds an address; an abstract one is free again as soon as this is dropped. Must be called within a
    /// Tokio runtime.
    ///
    /// # Errors
    ///
    /// When somebody else has the name.
    pub fn bind(address: &SocketAddr) -> io::Result<Self> {
        let socket = Blocking::bind_addr(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self(UnixListener::from_std(socket)?))
    }

    /// The next connection. Somebody who may not ask is an error of kind `PermissionDenied`.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.0.accept().await?;
        // An abstract name has no permissions: everybody in the network namespace can connect.
        let theirs = stream.peer_cred()?.uid();
        if theirs != rustix::process::geteuid().as_raw() && theirs != 0 {
            let message = format!("user {theirs} may not ask");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(stream)
    }
}
