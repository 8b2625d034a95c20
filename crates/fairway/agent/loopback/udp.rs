use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

/// Clients of one node port at a time; the datagrams of more are dropped.
const CLIENTS: usize = 128;

/// Datagrams of one client that wait to be passed on; more are dropped.
const WAITING: usize = 16;

/// The largest datagram there is.
const DATAGRAM: usize = 65_535;

/// How long a client that says nothing and hears nothing keeps its socket: conntrack's time for a
/// stream of datagrams.
const IDLE: Duration = Duration::from_secs(120);

/// Passes datagrams on, and answers back, with a socket for each client.
pub(super) async fn relay(listening: SocketAddr, upstream: SocketAddr) -> io::Result<Infallible> {
    let socket = Arc::new(UdpSocket::bind(listening).await?);
    super::started(listening, upstream);
    let mut clients: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await?;
        let datagram = buffer[..length].to_vec();
        let datagram = match clients.get(&client).map(|sender| sender.try_send(datagram)) {
            // Sent, or one too many.
            Some(Ok(()) | Err(mpsc::error::TrySendError::Full(_))) => continue,
            Some(Err(mpsc::error::TrySendError::Closed(datagram))) => datagram,
            None => buffer[..length].to_vec(),
        };
        while tasks.try_join_next().is_some() {}
        clients.retain(|_, sender| !sender.is_closed());
        if clients.len() >= CLIENTS {
            continue;
        }
        let (sender, datagrams) = mpsc::channel(WAITING);
        // There is room: nothing was sent before.
        let _ = sender.try_send(datagram);
        clients.insert(client, sender);
        let socket = Arc::clone(&socket);
        tasks.spawn(async move {
            if let Err(error) = converse(&socket, client, upstream, datagrams).await {
                debug!(%error, %listening, "datagrams through loopback found nobody");
            }
        });
    }
}

/// One client's datagrams to and fro, until both sides are silent.
async fn converse(
    socket: &UdpSocket,
    client: SocketAddr,
    upstream: SocketAddr,
    mut datagrams: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    let any: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let server = UdpSocket::bind(any).await?;
    server.connect(upstream).await?;
    loop {
        let step = async {
            tokio::select! {
                Some(datagram) = datagrams.recv() => Ok(Some(datagram)),
                readable = server.readable() => readable.map(|()| None),
            }
        };
        let Ok(step) = timeout(IDLE, step).await else {
            return Ok(());
        };
        if let Some(datagram) = step? {
            server.send(&datagram).await?;
            continue;
        }
        // Not kept while nothing comes: clients are many, answers few.
        let mut answer = vec![0; DATAGRAM];
        match server.try_recv(&mut answer) {
            Ok(length) => {
                socket.send_to(&answer[..length], client).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
