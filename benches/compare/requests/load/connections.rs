//! A new connection for every request, in clear text or with TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::{self, Tickets};
use super::{Outcome, clients};
use crate::requests::peers::Running;
use crate::requests::stage::{Stage, host};

/// At the same time.
const CLIENTS: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Clear,
    /// Every connection negotiates keys with the certificate's.
    FullHandshakes,
    /// All but the first of a client go on with a ticket of the one before.
    Resumption,
}

pub(crate) fn run(
    stage: &Stage,
    running: &Running,
    security: Security,
    seconds: f64,
) -> Result<Outcome> {
    let address = match security {
        Security::Clear => running.listen.http,
        _ => running.listen.https,
    };
    clients::run(stage, CLIENTS, seconds, |end| {
        let tls = (security != Security::Clear).then(|| connector(stage, security));
        client(address, tls, end)
    })
}

async fn client(address: SocketAddr, tls: Option<TlsConnector>, end: Instant) -> (u64, u64) {
    let (mut answered, mut failed) = (0, 0);
    let mut room = vec![0; 4096];
    while Instant::now() < end {
        match exchange(address, tls.as_ref(), &mut room).await {
            Ok(true) => answered += 1,
            Ok(false) | Err(_) => failed += 1,
        }
    }
    (answered, failed)
}

async fn exchange(
    address: SocketAddr,
    tls: Option<&TlsConnector>,
    room: &mut [u8],
) -> io::Result<bool> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    match tls {
        None => ask(stream, room).await,
        Some(tls) => {
            let name = ServerName::try_from(host(0)).map_err(io::Error::other)?;
            ask(tls.connect(name, stream).await?, room).await
        }
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, room: &mut [u8]) -> io::Result<bool> {
    let request = format!(
        "GET /64 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        host(0)
    );
    stream.write_all(request.as_bytes()).await?;
    let mut ok = false;
    let mut first = true;
    loop {
        let length = match stream.read(room).await {
            // Peers that close without saying so in TLS have answered all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        if length == 0 {
            return Ok(ok);
        }
        if std::mem::take(&mut first) {
            ok = room.starts_with(b"HTTP/1.1 200");
        }
    }
}

fn connector(stage: &Stage, security: Security) -> TlsConnector {
    let tickets = match security {
        Security::FullHandshakes => Tickets::Unused,
        _ => Tickets::Used,
    };
    TlsConnector::from(Arc::new(tls::config(stage, tickets)))
}
