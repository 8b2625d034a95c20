//! What the proxy allocates: little for a request, and nothing for the length of a body.
//!
//! All threads are counted, so clients and endpoints here allocate nothing, and one test runs at a time.

#![allow(clippy::unwrap_used)] // clippy knows tests by #[test], not their helpers

#[path = "proxy/cluster.rs"]
#[allow(dead_code)]
mod cluster;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use fairway_proxy::{
    AccessLog, Config, Handle, Metrics, TlsSettings, TlsTable, Tracing, bind, self_signed,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const PATIENCE: Duration = Duration::from_secs(10);

/// Of one body: long beside every window and buffer on the way.
const LENGTH: usize = 32 * 1024 * 1024;

/// What windows, socket buffers' copies and hyper's own buffers may take meanwhile, in bytes.
const GROWTH: isize = 4 * 1024 * 1024;

fn proxy(endpoint: SocketAddr, config: Config) -> (SocketAddr, Handle) {
    let mut cluster = cluster::Cluster::default();
    cluster.service("web", &[endpoint]);
    cluster.route(None, "/", "web");
    let bound = bind(Config {
        http: vec!["127.0.0.1:0".parse().unwrap()],
        h2c: true,
        workers: 1,
        ..config
    })
    .unwrap();
    let address = bound.local_addresses()[0];
    let routes = Arc::new(ArcSwap::from(cluster.index()));
    let tls = TlsTable::new(&TlsSettings::default(), Arc::new(self_signed().unwrap())).unwrap();
    let tls = Arc::new(ArcSwap::from_pointee(tls));
    let handle = bound.serve(routes, tls, Metrics::default()).unwrap();
    (address, handle)
}

fn quiet() -> Config {
    Config {
        access_log: AccessLog::Off,
        ..Config::default()
    }
}

/// An endpoint that hands each connection to `serve`.
fn endpoint(serve: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads until what was read ends with `end`; false where the other side has closed.
fn read_to(stream: &mut TcpStream, end: &[u8]) -> bool {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    while !buffer[..filled].ends_with(end) {
        match stream.read(&mut buffer[filled..]) {
            Ok(count) if count > 0 => filled += count,
            _ => return false,
        }
    }
    true
}

/// Counted when this was written; hyper and the header maps do most of it.
const ALLOCATIONS: usize = 7;

#[test]
fn a_request_of_http_1_allocates_little() {
    let each = allocations_per_request(quiet());
    assert!(each <= ALLOCATIONS, "{each} allocations per request");
}

#[test]
fn a_line_of_the_log_and_a_trace_cost_nothing_more() {
    for format in [
        "json",
        "nginx",
        "$http_a $http_b $sent_http_c $cookie_d $arg_e",
    ] {
        let each = allocations_per_request(Config {
            access_log: AccessLog::Writer(Arc::new(Mutex::new(std::io::sink()))),
            log_format: format.parse().unwrap(),
            tracing: Tracing {
                enabled: true,
                ..Tracing::default()
            },
            ..Config::default()
        });
        assert!(
            each <= ALLOCATIONS,
            "{each} allocations per request: {format}"
        );
    }
}

fn allocations_per_request(config: Config) -> usize {
    const REQUESTS: usize = 1000;
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let endpoint = endpoint(|mut stream| {
        while read_to(&mut stream, b"\r\n\r\n") {
            let response =
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
            stream.write_all(response).unwrap();
        }
    });
    let (address, _handle) = proxy(endpoint, config);
    let mut client = TcpStream::connect(address).unwrap();
    client.set_nodelay(true).unwrap();
    let mut ask = |count: usize| {
        for _ in 0..count {
            let request =
                b"GET /a HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n";
            client.write_all(request).unwrap();
            assert!(read_to(&mut client, b"hello"));
        }
    };
    ask(100);
    let region = Region::new(ALLOCATOR);
    ask(REQUESTS);
    let change = region.change();
    (change.allocations + change.reallocations) / REQUESTS
}

#[test]
fn bodies_of_any_length_take_the_same_memory() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let endpoint = endpoint(|mut stream| {
        static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
        let mut buffer = [0; 64 * 1024];
        // The body follows at once: not a byte of it may be read as the head.
        let mut end = [0; 4];
        while end != *b"\r\n\r\n" {
            end.rotate_left(1);
            stream.read_exact(&mut end[3..]).unwrap();
        }
        // Its length is not said: until the connection ends.
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        for _ in 0..LENGTH / PIECE.len() {
            stream.write_all(&PIECE).unwrap();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {}
    });
    let (address, _handle) = proxy(endpoint, quiet());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post("http://a/").body(()).unwrap();
        let (response, mut upload) = client.send_request(request, false).unwrap();
        let region = Region::new(ALLOCATOR);
        let in_use = || {
            let change = region.change();
            change.bytes_allocated as isize - change.bytes_deallocated as isize
        };
        // Both ways at once, as long as the download lasts.
        let uploading = tokio::spawn(async move {
            static PIECE: [u8; 16 * 1024] = [b'y'; 16 * 1024];
            let mut sent = 0;
            loop {
                upload.reserve_capacity(PIECE.len());
                match std::future::poll_fn(|context| upload.poll_capacity(context)).await {
                    Some(Ok(room)) => {
                        let piece = Bytes::from_static(&PIECE[..room.min(PIECE.len())]);
                        sent += piece.len();
                        if upload.send_data(piece, false).is_err() {
                            return sent;
                        }
                    }
                    _ => return sent,
                }
            }
        });
        let mut body = response.await.unwrap().into_body();
        let (mut received, mut most) = (0, 0);
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            received += piece.len();
            body.flow_control().release_capacity(piece.len()).unwrap();
            most = most.max(in_use());
        }
        assert_eq!(received, LENGTH);
        assert!(most < GROWTH, "{most} bytes more in use");
        uploading.abort();
    });
}

#[test]
fn a_connection_between_requests_keeps_no_buffers() {
    const CONNECTIONS: usize = 50;
    /// Counted when this was written: 2.2 KiB, of tasks, timers, and what the connection knows of its client.
    const EACH: isize = 3 * 1024;
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let endpoint = endpoint(|mut stream| {
        while read_to(&mut stream, b"\r\n\r\n") {
            let response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
            stream.write_all(response).unwrap();
        }
    });
    let (address, _handle) = proxy(endpoint, quiet());
    let ask = |client: &mut TcpStream| {
        let request = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n";
        client.write_all(request).unwrap();
        assert!(read_to(client, b"hello"));
    };
    // What is there in any case.
    ask(&mut TcpStream::connect(address).unwrap());
    let mut clients = Vec::with_capacity(CONNECTIONS);
    let region = Region::new(ALLOCATOR);
    for _ in 0..CONNECTIONS {
        let mut client = TcpStream::connect(address).unwrap();
        ask(&mut client);
        clients.push(client);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let change = region.change();
        let in_use = change.bytes_allocated as isize - change.bytes_deallocated as isize;
        let each = in_use / CONNECTIONS as isize;
        if each < EACH {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{each} bytes for each connection"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    clients.iter_mut().for_each(ask);
}
