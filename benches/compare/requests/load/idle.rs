//! Connections that wait for their second request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::tls;
use crate::requests::peers::Running;
use crate::requests::stage::{Stage, host};

/// Opens so many, each of which has asked once.
pub(crate) fn open(stage: &Stage, running: &Running, number: usize) -> Result<Vec<TcpStream>> {
    let address = running.listen.http;
    many(stage, number, || {
        let mut stream = TcpStream::connect(address)?;
        ask(&mut stream)?;
        Ok(stream)
    })
}

/// The same with TLS, each after a handshake of its own.
pub(crate) fn open_tls(
    stage: &Stage,
    running: &Running,
    number: usize,
) -> Result<Vec<StreamOwned<ClientConnection, TcpStream>>> {
    let address = running.listen.https;
    let config = Arc::new(tls::config(stage, tls::Tickets::Unused));
    let name = ServerName::try_from(host(0))?;
    many(stage, number, || {
        let stream = TcpStream::connect(address)?;
        // Or the request waits for the peer to acknowledge the end of the handshake.
        stream.set_nodelay(true)?;
        let client = ClientConnection::new(Arc::clone(&config), name.clone())?;
        let mut stream = StreamOwned::new(client, stream);
        ask(&mut stream)?;
        Ok(stream)
    })
}

fn many<T: Send>(
    stage: &Stage,
    number: usize,
    connect: impl Fn() -> Result<T> + Sync,
) -> Result<Vec<T>> {
    stage.namespace.run(|| {
        let connections = (0..number).map(|number| {
            let connection = connect();
            connection.with_context(|| format!("connection {number}"))
        });
        connections.collect()
    })
}

fn ask(stream: &mut (impl Read + Write)) -> Result<()> {
    let request = format!("GET /64 HTTP/1.1\r\nHost: {}\r\n\r\n", host(0));
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 2048];
    let length = stream.read(&mut answer)?;
    let answer = &answer[..length];
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "no good answer");
    Ok(())
}
