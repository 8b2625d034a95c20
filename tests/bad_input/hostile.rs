//! Clients that send anything.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Agent, Lab, ask, lab};

use crate::ingress::site::Site;
use crate::support::Feed;

const METRICS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10249);

/// Requests to start from; most of what is hostile is nearly valid.
const TEMPLATES: [&str; 6] = [
    "GET / HTTP/1.1\r\nHost: web\r\n\r\n",
    "POST /a/b?c=d HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Key: x\r\n\r\n",
    "GET http://web/%41%2f/../x HTTP/1.1\r\nHost: web\r\nX-Forwarded-For: 192.0.2.1, x\r\n\
     TE: trailers\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
];

/// Pieces that parsers stumble over.
const PIECES: [&str; 14] = [
    "\r\n",
    "\n",
    "\0",
    "\r\n\r\n",
    ": ",
    "Host: web\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Transfer-Encoding: chunked\r\n",
    "%",
    "//",
    "/..",
    "ffffffffffffffff\r\n",
    "\u{80}",
    "\t",
];

/// xorshift64*: the same strings in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Noise, or a request with a few changes.
    fn bytes(&mut self) -> Vec<u8> {
        if self.below(4) == 0 {
            let length = self.below(2000);
            return (0..length).map(|_| self.next() as u8).collect();
        }
        let mut bytes = TEMPLATES[self.below(TEMPLATES.len())].as_bytes().to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1));
            match self.below(4) {
                _ if bytes.is_empty() => {}
                0 => bytes[at] = self.next() as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.truncate(at + 1),
                _ => {
                    let piece = PIECES[self.below(PIECES.len())];
                    bytes.splice(at..at, piece.repeat(1 + self.below(3)).into_bytes());
                }
            }
        }
        bytes
    }
}

#[test]
fn thousands_of_byte_strings_are_answered_or_closed() {
    lab::test(|| {
        let site = Site::start(
            Feed::Manifests,
            Lab::builder().nodes(1).pod("web", "node-1"),
        );
        site.apply_apps(&["web"]);
        site.apply(
            "web",
            [ingress("web").class("fairway").prefix("", "/", "web", 80)],
        );
        site.becomes("web", "/", "web");
        let (client, router) = (site.lab().client().ns(), site.router("node-1"));
        let mut random = Random(0x0fa1_12a7);
        send(client, router, &mut random, 500);
        let before = memory(&site);
        send(client, router, &mut random, 3000);
        let grown = memory(&site).saturating_sub(before);
        // Each string would be a few kB, if it were kept.
        assert!(grown < 4 << 20, "{grown} bytes more after 3000 strings");

        assert_eq!(site.answers("web", "/"), "web");
        let node = site.lab().node("node-1").ns();
        let health = ask::http_get(node, Agent::HEALTH, "node", "/healthz");
        assert_eq!(health.unwrap().status, 200);
        let log = site.agent("node-1").stderr();
        assert!(!log.contains("panicked"), "{log}");
    });
}

fn send(client: &Namespace, router: SocketAddr, random: &mut Random, number: usize) {
    client.run(|| {
        for _ in 0..number {
            let bytes = random.bytes();
            let mut stream = std::net::TcpStream::connect(router).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            // The router may have had enough before all is written, or reset what it did not read.
            let gone = |error: &std::io::Error| {
                matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::NotConnected
                )
            };
            for result in [stream.write_all(&bytes), stream.shutdown(Shutdown::Write)] {
                assert!(result.as_ref().err().is_none_or(gone), "{result:?}");
            }
            let mut response = Vec::new();
            let result = stream.read_to_end(&mut response);
            let shown = bytes.escape_ascii();
            assert!(
                result.as_ref().err().is_none_or(gone),
                "{result:?} after {shown}"
            );
            let start = response.get(..9).unwrap_or(&response);
            assert!(
                matches!(start, b"" | b"HTTP/1.1 "),
                "{start:?} after {shown}"
            );
        }
    });
}

/// Bytes of memory that the agent has in use.
fn memory(site: &Site) -> u64 {
    let metrics =
        ask::http_get(site.lab().node("node-1").ns(), METRICS, "node", "/metrics").unwrap();
    let text = metrics.text();
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    let value: f64 = values.next().unwrap().parse().unwrap();
    value as u64
}
