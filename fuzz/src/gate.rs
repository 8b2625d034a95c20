//! What goes through the gate: the bytes of a client, by way of the router, to an endpoint.
//!
//! The client's bytes are read by a reader of our own that refuses whatever could be read in two ways
//! (`reader`). Whatever arrives at the endpoint must be one of the requests it has found, in order, with
//! the same method, framing and body, for the same path, and with no header that the client did not send or
//! the router set. What the reader refuses must not arrive, nor anything behind it.

mod endpoint;
mod reader;
mod router;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use endpoint::Endpoint;
use router::Router;

/// What hostile requests are made of.
pub const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"\r\n\r\n",
    b"\r\n ",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"5;x=y\r\n",
    b"0x5\r\n",
    b"ffffffffffffffff\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length:5 \r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"transfer-encoding:\x0bchunked\r\n",
    b"Host: a\r\n",
    b"Host: b\r\n",
    b"Host:\r\n",
    b"Connection: close\r\n",
    b"Connection: Content-Length\r\n",
    b"Connection: Transfer-Encoding, Host\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    b"Expect: 100-continue\r\n",
    b"TE: trailers\r\n",
    b"Trailer: X\r\n",
    b"X-Real-IP: 1.2.3.4\r\n",
    b"X_Real_IP: 1.2.3.4\r\n",
    b"X: y\r\n",
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"OPTIONS * ",
    b"CONNECT a:80 ",
    b"TRACE ",
    b"get ",
    b"/ ",
    b"/a?b#c ",
    b"http://a/ ",
    b"HTTP/1.1\r\n",
    b"HTTP/1.0\r\n",
    b"HTTP/2.0\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x80",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// Nothing takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

static ROUTER: LazyLock<(Endpoint, Router)> = LazyLock::new(|| {
    let endpoint = Endpoint::start();
    let router = Router::start(endpoint.address);
    (endpoint, router)
});

/// Who a client is at the endpoint: each has an address of its own, which the router passes on.
static CLIENTS: AtomicU32 = AtomicU32::new(1);

/// Sends the bytes and waits for the end; what arrives at the endpoint is judged there, perhaps only when
/// the next bytes are sent.
pub fn check(input: &[u8]) {
    let (endpoint, router) = &*ROUTER;
    endpoint.complain();
    // 127.0.0.1 itself is left out.
    let number = CLIENTS.fetch_add(1, Ordering::Relaxed) % 0x00fe_ffff;
    let own = Ipv4Addr::from_bits(0x7f01_0000 + number);
    endpoint.expect(own, input);
    let mut client = connect(own, router.address);
    // It may have been refused before all is written.
    let _ = client.write_all(input);
    let _ = client.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = client.read_to_end(&mut answer) {
        let gone = error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(gone, "{error}: {}", input.escape_ascii());
    }
    let known = answer.is_empty() || answer.starts_with(b"HTTP/1.");
    assert!(known, "{}: {}", input.escape_ascii(), answer.escape_ascii());
}

/// Waits until all that was sent has been judged.
///
/// # Panics
///
/// When something did not hold.
pub fn settle() {
    let (endpoint, _) = &*ROUTER;
    // What is on its way is read at once; nothing tells when there is nothing any more.
    std::thread::sleep(Duration::from_millis(200));
    endpoint.complain();
}

/// How many requests have arrived whole.
pub fn arrived() -> u64 {
    ROUTER.0.arrived()
}

fn connect(own: Ipv4Addr, router: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let own = SocketAddrV4::new(own, 0);
    socket.bind(&own.into()).expect("an address of loopback");
    socket.connect(&router.into()).expect("the router listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream
}
