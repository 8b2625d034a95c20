//! Messages through connections that were switched to another protocol.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Result;
use fairway_testkit::lab::Namespace;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Outcome, clients};
use crate::requests::peers::Running;
use crate::requests::stage::{Stage, host};

const CLIENTS: usize = 32;

/// A text frame from a client: 64 bytes of payload, masked by zeros.
const MESSAGE: [u8; 70] = {
    let mut message = [b'x'; 70];
    message[0] = 0x81;
    message[1] = 0x80 | 64;
    let mut at = 2;
    while at < 6 {
        message[at] = 0;
        at += 1;
    }
    message
};

/// What stands between an upgrade's request and its first message.
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Starts an origin that agrees to every upgrade and sends back what it gets: frames as they came, which
/// those between do not mind.
pub(crate) fn echo(namespace: &Namespace, address: SocketAddr) -> Result<()> {
    let listener = namespace.run(|| std::net::TcpListener::bind(address))?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = TcpListener::from_std(listener) else {
                return;
            };
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away ends its own.
                tokio::spawn(async move { drop(serve(stream).await) });
            }
        });
    });
    Ok(())
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut room = vec![0; 4096];
    read_head(&mut stream, &mut room).await?;
    stream.write_all(SWITCHED).await?;
    loop {
        let length = stream.read(&mut room).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&room[..length]).await?;
    }
}

/// One message a client at a time.
pub(crate) fn run(stage: &Stage, running: &Running, seconds: f64) -> Result<Outcome> {
    let address = running.listen.http;
    clients::run(stage, CLIENTS, seconds, |end| client(address, end))
}

async fn client(address: SocketAddr, end: Instant) -> (u64, u64) {
    let mut answered = 0;
    let ended = talk(address, end, &mut answered).await;
    (answered, u64::from(ended.is_err()))
}

async fn talk(address: SocketAddr, end: Instant, answered: &mut u64) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        host(0)
    );
    stream.write_all(request.as_bytes()).await?;
    let mut room = vec![0; 4096];
    let head = read_head(&mut stream, &mut room).await?;
    if !room[..head].starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other("not switched"));
    }
    while Instant::now() < end {
        stream.write_all(&MESSAGE).await?;
        stream.read_exact(&mut room[..MESSAGE.len()]).await?;
        *answered += 1;
    }
    Ok(())
}

/// Reads up to the empty line, which nothing follows yet.
async fn read_head(stream: &mut TcpStream, room: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while !room[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut room[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => length += more,
        }
    }
    Ok(length)
}
