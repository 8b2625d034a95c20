//! Connections that wait for their second request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};

use crate::peers::Running;
use crate::stage::{Stage, host};

/// Opens so many, each of which has asked once.
pub(crate) fn open(stage: &Stage, running: &Running, number: usize) -> Result<Vec<TcpStream>> {
    let address = running.listen.http;
    stage.namespace.run(|| {
        let connections = (0..number).map(|number| {
            let connection = connect(address);
            connection.with_context(|| format!("connection {number}"))
        });
        connections.collect()
    })
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!("GET /64 HTTP/1.1\r\nHost: {}\r\n\r\n", host(0));
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 2048];
    let length = stream.read(&mut answer)?;
    let answer = &answer[..length];
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "no good answer");
    Ok(stream)
}
