use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::http::{Request, StatusCode};
use bytes::Bytes;

use super::*;
use crate::ask::{self, Failure};
use crate::lab;

/// A pod on the loopback device of a namespace of its own.
struct Alone {
    namespace: Namespace,
    echo: Echo,
}

const LINES: SocketAddr = SocketAddr::new(LOOPBACK, Echo::LINES);
const HTTP: SocketAddr = SocketAddr::new(LOOPBACK, Echo::HTTP);
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

impl Alone {
    fn new() -> Self {
        let namespace = Namespace::new("alone").unwrap();
        let identity = Identity {
            pod: "echo".into(),
            node: "nowhere".into(),
        };
        let echo = Echo::new(&namespace, identity, &[LOOPBACK]);
        echo.serve_lines(Echo::LINES).unwrap();
        echo.serve_http(Echo::HTTP).unwrap();
        Self { namespace, echo }
    }

    fn get(&self, path: &str) -> ask::Response {
        ask::http_get(&self.namespace, HTTP, "echo.example", path).unwrap()
    }
}

#[test]
fn http_answers_with_what_it_saw() {
    lab::test(|| {
        let alone = Alone::new();
        let request = Request::post("/a/b?x=1&y")
            .header("Host", "echo.example")
            .header("X-Twice", "1")
            .header("X-Twice", "2")
            .body(Bytes::from("hello"))
            .unwrap();
        let response = ask::http(&alone.namespace, HTTP, request).unwrap();
        assert_eq!(response.status, StatusCode::OK);
        assert_eq!(response.header("server"), None);
        let answer = response.answer().unwrap();
        assert_eq!(
            (answer.pod.as_str(), answer.node.as_str()),
            ("echo", "nowhere")
        );
        assert_eq!(
            (answer.method.as_str(), answer.path.as_str()),
            ("POST", "/a/b")
        );
        assert_eq!(answer.query.as_deref(), Some("x=1&y"));
        assert_eq!(answer.proto, "HTTP/1.1");
        assert_eq!(answer.header("host"), ["echo.example"]);
        assert_eq!(answer.header("x-twice"), ["1", "2"]);
        assert_eq!(answer.body, "hello");
        assert_eq!(answer.own, HTTP);
    });
}

#[test]
fn http_does_what_the_query_asks() {
    lab::test(|| {
        let alone = Alone::new();
        assert_eq!(
            alone.get("/?status=503").status,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(alone.get("/?status=100").status, StatusCode::OK);
        assert_eq!(
            alone.get("/?header=X-A:1&header=X-B:2").header("x-b"),
            Some("2")
        );
        assert_eq!(alone.get("/?bytes=100000").body.len(), 100_000);

        let start = Instant::now();
        let chunked = alone.get("/?chunks=3&every=20&delay=20");
        assert!(start.elapsed() >= Duration::from_millis(60));
        assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
        assert_eq!(chunked.text(), "chunk 1\nchunk 2\nchunk 3\n");
    });
}

#[test]
fn http_mirrors_a_body_while_it_arrives_and_upgrades() {
    lab::test(|| {
        let alone = Alone::new();
        for (request, answer, said, heard) in [
            (
                "POST /?mirror HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                "3\r\nabc\r\n",
                "3\r\nabc\r\n",
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
                "any bytes",
                "any bytes",
            ),
        ] {
            let mut stream = ask::open(&alone.namespace, HTTP).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut expect = |expected: &str| {
                let mut got = vec![0; expected.len()];
                stream.read_exact(&mut got).unwrap();
                assert_eq!(String::from_utf8(got).unwrap(), expected);
                stream.write_all(said.as_bytes()).unwrap();
            };
            expect(answer);
            // The request is not finished yet.
            expect(heard);
        }
    });
}

#[test]
fn draining_refuses_the_new_and_waits_for_the_old() {
    lab::test(|| {
        let alone = Alone::new();
        let mut open = ask::open(&alone.namespace, LINES).unwrap();
        let mut ask = || {
            open.write_all(b"still there?\n").unwrap();
            let mut reply = [0; 512];
            let length = open.read(&mut reply).unwrap();
            assert!(reply[..length].starts_with(b"echo "));
        };
        ask();
        assert!(!alone.echo.drain(Duration::from_millis(20)));
        ask();
        for server in [LINES, HTTP] {
            let error = ask::tcp(&alone.namespace, server).unwrap_err();
            assert_eq!(error.failure(), Failure::Refused);
        }
        let error = ask::udp(&alone.namespace, LINES).unwrap_err();
        assert_eq!(error.failure(), Failure::Refused);
        drop(open);
        assert!(alone.echo.drain(Duration::from_secs(10)));
        assert!(alone.echo.serve_http(80).is_err());
    });
}
