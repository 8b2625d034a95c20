use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::Serving;

/// Answers every line of a TCP connection; what the line says does not matter.
pub(super) async fn serve_stream(mut stream: TcpStream, serving: Serving) {
    let (Ok(peer), Ok(own)) = (stream.peer_addr(), stream.local_addr()) else {
        return; // reset before it was served
    };
    let reply = reply(&serving, peer, own);
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let received = buffer.iter().take(length);
        let lines = received.filter(|byte| **byte == b'\n').count();
        if stream
            .write_all(reply.repeat(lines).as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Answers every datagram until the servers drain.
pub(super) async fn serve_datagrams(socket: UdpSocket, mut serving: Serving) {
    let Ok(own) = socket.local_addr() else {
        return;
    };
    let mut buffer = [0; 4096];
    loop {
        let received = tokio::select! {
            biased;
            received = socket.recv_from(&mut buffer) => received,
            () = serving.drained() => return,
        };
        // Errors are ICMP messages about earlier replies to clients that are gone.
        if let Ok((_, peer)) = received {
            let reply = reply(&serving, peer, own);
            let _ = socket.send_to(reply.as_bytes(), peer).await;
        }
    }
}

fn reply(serving: &Serving, peer: SocketAddr, own: SocketAddr) -> String {
    format!("{} {peer} {own}\n", serving.identity.pod)
}
