//! What a connection that ends owes its client: every request up to the last one that it names is
//! answered, and those above it were not looked at, so that the client may send them again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use fairway_proxy::{Config, Limits};

use crate::client::PATIENCE;
use crate::frames::{
    ACK, DATA, END_STREAM, Frame, Frames, GET, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE,
};
use crate::proxy::{Proxy, single};
use crate::upstream::Upstream;

const UNLIMITED: u32 = (1 << 31) - 1;

fn after(requests_per_connection: u32, upstream: &Upstream) -> Proxy {
    let limits = Limits {
        requests_per_connection,
        ..Limits::default()
    };
    let config = Config {
        h2c: true,
        limits,
        ..Config::default()
    };
    Proxy::configured(single(&[upstream.address]), config)
}

/// What a client keeps in mind.
#[derive(Default)]
struct Ledger {
    statuses: BTreeMap<u32, Option<u16>>,
    ended: BTreeSet<u32>,
    last_streams: Vec<u32>,
    /// Pings that it has not answered.
    pings: Vec<Vec<u8>>,
}

impl Ledger {
    fn note(&mut self, frame: &Frame) {
        match frame.kind {
            HEADERS => drop(self.statuses.insert(frame.stream, frame.status())),
            DATA => {}
            GOAWAY => {
                assert_eq!(frame.code(), 0, "nobody did anything wrong");
                let last = frame.payload[..4].try_into().unwrap();
                self.last_streams.push(u32::from_be_bytes(last));
            }
            PING if frame.flags & ACK == 0 => self.pings.push(frame.payload.clone()),
            RST_STREAM => panic!("{frame:?}"),
            _ => {}
        }
        if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
            self.ended.insert(frame.stream);
        }
    }

    fn read_until(&mut self, client: &mut Frames, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let frame = client.next().expect("the connection is open");
            self.note(&frame);
        }
    }

    /// Reads to the end.
    fn read_all(&mut self, client: &mut Frames) {
        while let Some(frame) = client.next() {
            self.note(&frame);
        }
    }
}

fn streams(from: usize, count: usize) -> impl Iterator<Item = u32> {
    (from..from + count).map(|number| 2 * number as u32 + 1)
}

fn send(client: &mut Frames, streams: impl Iterator<Item = u32>) {
    for stream in streams {
        client.request(stream, END_STREAM, &GET);
    }
}

#[test]
fn what_is_sent_before_the_client_can_know_is_answered() {
    let upstream = Upstream::echo("web");
    let proxy = after(10, &upstream);
    let mut client = Frames::connect(proxy.address);
    let mut ledger = Ledger::default();
    send(&mut client, streams(0, 15));
    ledger.read_until(&mut client, |ledger| !ledger.pings.is_empty());
    // A warning at first: whatever is on its way is still welcome.
    assert_eq!(ledger.last_streams, [UNLIMITED]);
    send(&mut client, streams(15, 5));
    let ping = ledger.pings.remove(0);
    client.send(PING, ACK, 0, &ping);
    // The client behaves badly: these it was asked not to send.
    send(&mut client, streams(20, 3));
    ledger.read_all(&mut client);

    let [UNLIMITED, last] = ledger.last_streams[..] else {
        panic!("{:?}", ledger.last_streams);
    };
    assert!(last > 2 * 19, "{last}");
    for stream in streams(0, 23) {
        let answer = (ledger.statuses.get(&stream), ledger.ended.contains(&stream));
        if stream <= last {
            assert_eq!(
                answer,
                (Some(&Some(200)), true),
                "stream {stream} of {last}"
            );
        } else {
            assert_eq!(answer, (None, false), "stream {stream} may be sent again");
        }
    }
    // Those above the last were not sent on.
    assert_eq!(upstream.requests(), ledger.statuses.len());
}

#[test]
fn as_many_as_may_be_at_once_are_answered_whatever_the_limit() {
    let upstream = Upstream::echo("web");
    let proxy = after(3, &upstream);
    let mut client = Frames::connect(proxy.address);
    let mut ledger = Ledger::default();
    send(&mut client, streams(0, 128));
    ledger.read_until(&mut client, |ledger| ledger.ended.len() == 128);
    assert!(ledger.statuses.values().all(|status| *status == Some(200)));
    assert_eq!(ledger.last_streams, [UNLIMITED]);
    let ping = ledger.pings.remove(0);
    client.send(PING, ACK, 0, &ping);
    ledger.read_all(&mut client);
    assert_eq!(ledger.last_streams, [UNLIMITED, 2 * 127 + 1]);
}

#[test]
fn the_last_response_arrives_whole_at_a_slow_reader() {
    // More than the client takes unread, less than the proxy's kernel takes from it at once.
    const BODY: usize = 100 * 1024;
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::start(move |mut connection| {
        while connection.head().is_some() {
            wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            connection.answer(200, "", &"x".repeat(BODY));
        }
    });
    let proxy = after(1, &upstream);
    let mut client = Frames::silent(proxy.address);
    client.receive_buffer(16 * 1024);
    client.send_bytes(crate::frames::PREFACE);
    // Windows for all of the body: what holds it up is the client's kernel only.
    let window = [0, 4, 0x7f, 0xff, 0xff, 0xff];
    client.send(SETTINGS, 0, 0, &window);
    client.send(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes());
    client.request(1, END_STREAM, &GET);
    let mut ledger = Ledger::default();
    ledger.read_until(&mut client, |ledger| !ledger.pings.is_empty());
    let ping = ledger.pings.remove(0);
    client.send(PING, ACK, 0, &ping);
    ledger.read_until(&mut client, |ledger| ledger.last_streams.len() == 2);
    go_on.send(()).unwrap();
    // It says something now and then and reads nothing; the proxy has written everything long before.
    for _ in 0..40 {
        client.send(PING, 0, 0, &[0; 8]);
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut length = 0;
    while let Some(frame) = client.next() {
        if frame.kind == DATA {
            length += frame.payload.len();
        }
        ledger.note(&frame);
    }
    assert_eq!((length, ledger.ended.contains(&1)), (BODY, true));
}

/// They are not the client's cancelling, of which a connection bears five hundred.
#[test]
fn responses_that_endpoints_break_end_no_connection() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    let mut client = Frames::connect(proxy.address);
    for stream in (1..).step_by(2).take(600) {
        client.request(stream, END_STREAM, &GET);
        let end = client.next_of(&[RST_STREAM, GOAWAY]).unwrap();
        assert_eq!((end.kind, end.stream), (RST_STREAM, stream));
    }
}
