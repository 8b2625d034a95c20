use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

/// Connections through one node port; more wait in the listener's queue. Loopback is for people and
/// for agents of the node, not for load.
const CONNECTIONS: usize = 128;

/// A buffer of each direction: with the limit above at most 4 MiB a node port.
const BUFFER: usize = 16 << 10;

/// Longest wait for the endpoint, in case its packets are dropped.
const CONNECT: Duration = Duration::from_secs(10);

/// After the kernel could not give us a connection, for want of descriptors most likely.
const PAUSE: Duration = Duration::from_millis(200);

/// Passes connections on. Dropping it cuts them off.
pub(super) async fn relay(listening: SocketAddr, upstream: SocketAddr) -> io::Result<Infallible> {
    let listener = TcpListener::bind(listening).await?;
    super::started(listening, upstream);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return Err(io::ErrorKind::Other.into());
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                connections.spawn(async move {
                    if let Err(error) = pass(client, upstream).await {
                        debug!(%error, %listening, "a connection through loopback ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                debug!(%error, %listening, "cannot accept a connection");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn pass(mut client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
    let connected = timeout(CONNECT, TcpStream::connect(upstream)).await;
    let mut server = match connected.map_err(io::Error::from).flatten() {
        Ok(server) => server,
        Err(error) => {
            // A reset says more than an orderly end: there was nobody.
            client.set_zero_linger()?;
            return Err(error);
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await?;
    Ok(())
}
