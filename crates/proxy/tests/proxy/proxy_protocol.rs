//! What load balancers say about connections: who may say it, and what becomes of it.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use fairway_proxy::{Config, ProxyProtocol, Timeouts};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::client::{Client, PATIENCE};
use crate::proxy::{Proxy, single};
use crate::tls::{self, Authority};
use crate::upstream::{Head, Upstream};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V4: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 56068 443\r\n";
const V6: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::7 56068 8443\r\n";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";

/// A version 2 header of a client 192.0.2.1 that connected to port 443.
fn version_2(command: u8, tlvs: &[u8]) -> Vec<u8> {
    let block = [192, 0, 2, 1, 198, 51, 100, 7, 0xdb, 0x04, 0x01, 0xbb];
    let length = u16::try_from(block.len() + tlvs.len()).unwrap();
    let fixed = [command, 0x11];
    [SIGNATURE, &fixed, &length.to_be_bytes(), &block, tlvs].concat()
}

/// A proxy in this mode that trusts loopback.
fn trusting(mode: ProxyProtocol, upstream: &Upstream) -> Proxy {
    start(mode, "127.0.0.0/8", upstream)
}

fn start(mode: ProxyProtocol, trusted: &str, upstream: &Upstream) -> Proxy {
    let config = Config {
        proxy_protocol: mode,
        trusted_proxies: vec![trusted.parse().unwrap()],
        https: vec!["127.0.0.1:0".parse().unwrap()],
        timeouts: Timeouts {
            proxy_header: Duration::from_millis(500),
            ..Timeouts::default()
        },
        ..Config::default()
    };
    Proxy::configured(single(&[upstream.address]), config)
}

/// What the endpoint is told after these bytes, a segment each.
fn told(proxy: &Proxy, upstream: &Upstream, segments: &[&[u8]]) -> Head {
    let mut client = Client::connect(proxy.address);
    for segment in segments {
        client.send(segment);
    }
    assert_eq!(client.response().status, 200);
    upstream.next_head()
}

fn refused(proxy: &Proxy, header: &[u8]) {
    let mut client = Client::connect(proxy.address);
    client.try_send([header, GET].concat());
    client.expect_close();
}

fn failures(proxy: &Proxy, reason: &str) -> f64 {
    let name = "fairway_proxy_proxy_protocol_failures_total";
    proxy.metric(&format!("{name}{{reason=\"{reason}\"}}"))
}

const ON: [ProxyProtocol; 2] = [ProxyProtocol::Optional, ProxyProtocol::Required];

#[test]
fn the_client_is_the_one_in_the_header() {
    let upstream = Upstream::echo("a");
    for mode in ON {
        let proxy = trusting(mode, &upstream);
        for (header, client, port, scheme) in [
            (V4, "192.0.2.1", "443", "https"),
            (V6, "2001:db8::1", "8443", "http"),
            (&version_2(0x21, b""), "192.0.2.1", "443", "https"),
            (
                &version_2(0x21, b"\x05\0\x02id"),
                "192.0.2.1",
                "443",
                "https",
            ),
        ] {
            let head = told(&proxy, &upstream, &[header, GET]);
            assert_eq!(head.header("x-real-ip"), Some(client));
            // What the client says about its way is not the load balancer's word.
            assert_eq!(head.header("x-forwarded-for"), Some(client));
            assert_eq!(head.header("x-forwarded-port"), Some(port));
            // Behind port 443 the load balancer ended TLS.
            for name in ["x-forwarded-proto", "x-forwarded-scheme", "x-scheme"] {
                assert_eq!(head.header(name), Some(scheme), "{name}");
            }
        }
        assert!(
            proxy
                .log_lines(4)
                .iter()
                .any(|line| line["client"] == "2001:db8::1")
        );
    }
}

#[test]
fn a_client_that_is_a_trusted_proxy_is_believed() {
    let upstream = Upstream::echo("a");
    let proxy = trusting(ProxyProtocol::Required, &upstream);
    let header = b"PROXY TCP4 127.0.0.9 198.51.100.7 56068 443\r\n";
    let head = told(&proxy, &upstream, &[header, GET]);
    assert_eq!(head.header("x-real-ip"), Some("203.0.113.9"));
    assert_eq!(
        head.header("x-forwarded-for"),
        Some("203.0.113.9, 127.0.0.9")
    );
}

#[test]
fn segments_mean_nothing() {
    let upstream = Upstream::echo("a");
    let proxy = trusting(ProxyProtocol::Required, &upstream);
    for header in [V4, &version_2(0x21, b"")] {
        let whole = [header, GET].concat();
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        for segments in [&bytes[..], &[&whole]] {
            let head = told(&proxy, &upstream, segments);
            assert_eq!(head.header("x-real-ip"), Some("192.0.2.1"));
        }
    }
}

#[test]
fn it_comes_before_tls() {
    let upstream = Upstream::echo("a");
    let proxy = trusting(ProxyProtocol::Required, &upstream);
    let root = Authority::new();
    let policy = tls::terminate(Some(root.issue("a").0), None);
    proxy
        .tls
        .store(Arc::new(tls::table([(tls::exact("a"), policy)])));
    for header in [V4, &version_2(0x21, b"")] {
        for together in [true, false] {
            let mut tls = hello(&root);
            let mut socket = TcpStream::connect(proxy.https.unwrap()).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.set_nodelay(true).unwrap();
            let mut first = header.to_vec();
            if together {
                tls.write_tls(&mut first).unwrap();
            }
            socket.write_all(&first).unwrap();
            let mut stream = StreamOwned::new(tls, socket);
            stream.write_all(GET).unwrap();
            let head = upstream.next_head();
            assert_eq!(head.header("x-real-ip"), Some("192.0.2.1"));
            assert_eq!(head.header("x-forwarded-port"), Some("443"));
            assert_eq!(head.header("x-forwarded-proto"), Some("https"));
        }
    }
    // The TLS port wants it, too.
    let socket = TcpStream::connect(proxy.https.unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(hello(&root), socket);
    assert!(stream.write_all(GET).is_err());
    assert_eq!(failures(&proxy, "missing"), 1.0);
}

fn hello(root: &Authority) -> ClientConnection {
    let name = ServerName::try_from("a").unwrap();
    ClientConnection::new(root.client(None), name).unwrap()
}

#[test]
fn a_stranger_is_never_heard() {
    let upstream = Upstream::echo("a");
    for mode in [ProxyProtocol::Off, ProxyProtocol::Optional] {
        let proxy = start(mode, "10.0.0.0/8", &upstream);
        let mut client = Client::connect(proxy.address);
        client.send([V4, GET].concat());
        let response = client.response();
        assert_eq!(
            (response.status, response.header("connection")),
            (400, Some("close"))
        );
        client.expect_close();
        let mut client = Client::connect(proxy.address);
        client.send([&version_2(0x21, b"")[..], GET].concat());
        client.rest();
        assert_eq!(upstream.requests(), 0);

        // It does not have to send one.
        let head = told(&proxy, &upstream, &[GET]);
        assert_eq!(head.header("x-real-ip"), Some("127.0.0.1"));
    }
    let proxy = start(ProxyProtocol::Required, "10.0.0.0/8", &upstream);
    let requests = upstream.requests();
    refused(&proxy, V4);
    refused(&proxy, b"");
    assert_eq!(upstream.requests(), requests);
    assert_eq!(failures(&proxy, "untrusted"), 2.0);
}

#[test]
fn a_header_that_is_required_is_waited_for_and_an_optional_one_may_be_missing() {
    let upstream = Upstream::echo("a");
    let proxy = trusting(ProxyProtocol::Optional, &upstream);
    let head = told(&proxy, &upstream, &[GET]);
    assert_eq!(head.header("x-real-ip"), Some("203.0.113.9"));
    // Its first letters are those of a header.
    let mut client = Client::connect(proxy.address);
    client.send("PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 200);

    let proxy = trusting(ProxyProtocol::Required, &upstream);
    refused(&proxy, b"");
    assert_eq!(failures(&proxy, "missing"), 1.0);
}

#[test]
fn without_a_client_the_sender_speaks_for_itself() {
    let upstream = Upstream::echo("a");
    let unspecified = [SIGNATURE, &[0x21, 0x00, 0, 0]].concat();
    for mode in ON {
        let proxy = trusting(mode, &upstream);
        for header in [
            &b"PROXY UNKNOWN\r\n"[..],
            b"PROXY UNKNOWN 192.0.2.1 198.51.100.7 1 2\r\n",
            &version_2(0x20, b""),
            &unspecified,
        ] {
            let head = told(&proxy, &upstream, &[header, GET]);
            assert_eq!(head.header("x-real-ip"), Some("127.0.0.1"));
            assert_eq!(head.header("x-forwarded-for"), Some("127.0.0.1"));
            assert_eq!(head.header("x-forwarded-port"), Some("80"));
        }
    }
}

#[test]
fn broken_headers_end_the_connection_without_a_word() {
    let upstream = Upstream::echo("a");
    let repeated = [V4, V4].concat();
    let mixed = [V4, &version_2(0x21, b"")].concat();
    let mut version = version_2(0x21, b"");
    version[12] = 0x31;
    let mut longest = version_2(0x21, b"");
    longest[14..16].copy_from_slice(&[0xff, 0xff]);
    for mode in ON {
        let proxy = trusting(mode, &upstream);
        let long_line = [b"PROXY UNKNOWN ", &[b'x'; 100][..], b"\r\n"].concat();
        for (header, reason) in [
            (
                &b"PROXY TCP4 192.0.2.1 198.51.100.7 1 70000\r\n"[..],
                "malformed",
            ),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n", "malformed"),
            (b"PROXY TCP4 2001:db8::1 2001:db8::7 1 2\r\n", "malformed"),
            (b"PROXY tcp4 192.0.2.1 198.51.100.7 1 2\r\n", "malformed"),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n", "malformed"),
            (&version, "malformed"),
            (&version_2(0x21, &[4, 0xff, 0xff]), "malformed"),
            (&long_line, "too_long"),
            (&longest, "too_long"),
            (&repeated, "repeated"),
            (&mixed, "repeated"),
        ] {
            let before = failures(&proxy, reason);
            refused(&proxy, header);
            assert_eq!(failures(&proxy, reason), before + 1.0, "{header:?}");
        }
        // Lower case is no header at all.
        let mut client = Client::connect(proxy.address);
        client.send(b"proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n\r\n");
        client.rest();
    }
    assert_eq!(upstream.requests(), 0);
    // A second header that comes late is a request, and none that is one.
    let proxy = trusting(ProxyProtocol::Required, &upstream);
    let head = told(&proxy, &upstream, &[V4, GET]);
    assert_eq!(head.header("x-real-ip"), Some("192.0.2.1"));
    let mut client = Client::connect(proxy.address);
    client.send([V4, &GET[..GET.len() - 2]].concat());
    client.send(b"\r\n");
    assert_eq!(client.response().status, 200);
    client.send([V4, GET].concat());
    assert_eq!(client.response().status, 400);
}

#[test]
fn who_says_nothing_is_let_go() {
    assert_eq!(Timeouts::default().proxy_header, Duration::from_secs(5));
    let upstream = Upstream::echo("a");
    for mode in ON {
        let proxy = trusting(mode, &upstream);
        Client::connect(proxy.address).expect_close();
        let mut half = Client::connect(proxy.address);
        half.send(&V4[..20]);
        half.expect_close();
        assert_eq!(failures(&proxy, "timeout"), 2.0);

        let mut half = Client::connect(proxy.address);
        half.send(&V4[..20]);
        half.stop_sending();
        half.expect_close();
        assert_eq!(failures(&proxy, "closed"), 1.0);

        // How load balancers look whether somebody listens.
        let mut probe = Client::connect(proxy.address);
        probe.stop_sending();
        probe.expect_close();
        assert_eq!(failures(&proxy, "closed"), 1.0);
        assert!(proxy.log().is_empty());
    }
}
