//! One agent follows another on a node without a gap, by the socket that is also the lock.
//!
//! ```text
//! successor                          predecessor
//! first complete state known         programs, serves
//! "take over" ---------------------> leaves the tables and its own servers, goes on with traffic
//! programs, serves   <---- "yours"
//! "serving" -----------------------> accepts no more, finishes what it has begun
//! ```
//!
//! A connection that ends without "serving" is a successor that failed: the predecessor goes on.
//! Meanwhile both listen on the ports for traffic (SO_REUSEPORT).

use std::io;
use std::os::unix::net as blocking;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

const TAKE_OVER: &[u8] = b"take over\n";
const YOURS: &[u8] = b"yours\n";
const SERVING: &[u8] = b"serving\n";

/// For one message of the other side, which does nothing else then.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a failed accept.
const PAUSE: Duration = Duration::from_secs(1);

/// The agent that has let go, and accepts connections until there is somebody else to do it.
#[derive(Debug)]
pub(crate) struct Predecessor(UnixStream);

impl Predecessor {
    /// Asks the agent at this address for its place; returns once it has let go of everything but traffic.
    pub(super) async fn replace(address: &blocking::SocketAddr) -> io::Result<Self> {
        let stream = blocking::UnixStream::connect_addr(address)?;
        stream.set_nonblocking(true)?;
        let mut stream = UnixStream::from_std(stream)?;
        stream.write_all(TAKE_OVER).await?;
        expect(&mut stream, YOURS).await?;
        Ok(Self(stream))
    }

    /// Tells it that there is.
    pub(crate) async fn serving(mut self) -> io::Result<()> {
        self.0.write_all(SERVING).await
    }
}

/// An agent that asks for our place.
#[derive(Debug)]
pub(crate) struct Successor(blocking::UnixStream);

impl Successor {
    /// Listens for them until the receiver is dropped or the runtime ends.
    pub(super) fn listen(socket: blocking::UnixListener) -> io::Result<mpsc::Receiver<Self>> {
        socket.set_nonblocking(true)?;
        let socket = UnixListener::from_std(socket)?;
        let (sender, asked) = mpsc::channel(1);
        tokio::spawn(async move {
            while !sender.is_closed() {
                let Ok((stream, _)) = socket.accept().await else {
                    sleep(PAUSE).await;
                    continue;
                };
                match vet(stream).await {
                    Ok(successor) => {
                        // Fails only when nobody is interested any more.
                        let _ = sender.send(successor).await;
                    }
                    Err(error) => debug!(%error, "somebody connected for nothing"),
                }
            }
        });
        Ok(asked)
    }

    /// Tells it that our place is free, and waits until it serves: false when it does not.
    pub(crate) async fn follows(self) -> bool {
        let serves = async {
            let mut stream = UnixStream::from_std(self.0)?;
            stream.write_all(YOURS).await?;
            // For as long as it takes: two that both believe they are alone would be worse.
            read(&mut stream, SERVING).await
        };
        serves
            .await
            .inspect_err(|error: &io::Error| warn!(%error, "the next fairway gave up"))
            .is_ok()
    }
}

async fn vet(mut stream: UnixStream) -> io::Result<Successor> {
    // The name is open to everybody in the network namespace; whoever has our user could share our
    // ports anyway.
    let (theirs, ours) = (
        stream.peer_cred()?.uid(),
        rustix::process::geteuid().as_raw(),
    );
    if theirs != ours && theirs != 0 {
        let message = format!("user {theirs} may not take over");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    expect(&mut stream, TAKE_OVER).await?;
    Ok(Successor(stream.into_std()?))
}

async fn expect(stream: &mut UnixStream, message: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, read(stream, message)).await?
}

async fn read(stream: &mut UnixStream, message: &[u8]) -> io::Result<()> {
    let mut received = vec![0; message.len()];
    stream.read_exact(&mut received).await?;
    if received != message {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "an unknown message",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
