//! What no proper HTTP/2 client sends.

use fairway_proxy::{Config, Limits};

use crate::client::get;
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GET, GOAWAY, HEADERS, PING, PREFACE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
};
use crate::proxy::{Proxy, single};
use crate::upstream::Upstream;

const PROTOCOL_ERROR: u32 = 1;

fn proxy(upstream: &Upstream) -> Proxy {
    Proxy::with_h2c(single(&[upstream.address]))
}

/// A request's pseudo headers, with some changed, and further fields.
fn fields<'a>(
    changed: &[(&'a str, &'a str)],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut fields: Vec<_> = GET.to_vec();
    for (name, value) in changed {
        let field = fields.iter_mut().find(|(key, _)| key == name).unwrap();
        field.1 = value;
    }
    fields.extend(more);
    fields
}

/// Scenario 104.
#[test]
fn malformed_requests_never_reach_an_endpoint() {
    let upstream = Upstream::echo("web");
    let proxy = proxy(&upstream);
    let without = |name: &str| {
        let fields = GET.iter().copied().filter(|(key, _)| *key != name);
        fields.collect::<Vec<_>>()
    };
    let cases = [
        fields(&[], &[("connection", "keep-alive")]),
        fields(&[], &[("transfer-encoding", "chunked")]),
        fields(&[], &[("upgrade", "websocket")]),
        fields(&[], &[("keep-alive", "1")]),
        fields(&[], &[("proxy-connection", "close")]),
        fields(&[], &[("te", "gzip")]),
        fields(&[], &[("X-Upper", "1")]),
        fields(&[], &[("x-crlf", "a\r\nx: y")]),
        fields(&[], &[("x-nul", "a\0b")]),
        fields(&[], &[("x y", "1")]),
        fields(&[], &[("", "1")]),
        fields(&[], &[(":status", "200")]),
        fields(&[], &[(":path", "/twice")]),
        fields(&[], &[("x", "1"), (":late", "2")]),
        fields(&[], &[("host", "b")]),
        fields(&[], &[("host", "a"), ("host", "a")]),
        fields(&[], &[("content-length", "5")]),
        fields(&[], &[("content-length", "+0")]),
        fields(&[], &[("content-length", "0"), ("content-length", "0")]),
        fields(&[(":path", "")], &[]),
        fields(&[(":path", "admin")], &[]),
        fields(&[(":path", "*")], &[]),
        fields(&[(":path", "/a b")], &[]),
        fields(&[(":path", "/a\r\nx: y")], &[]),
        fields(&[(":path", "/a\\b")], &[]),
        fields(&[(":path", "/%00")], &[]),
        fields(&[(":path", "/?q=\u{e9}")], &[]),
        fields(&[(":path", "/../a")], &[]),
        fields(&[(":path", "http://b/")], &[]),
        fields(&[(":authority", "")], &[]),
        fields(&[(":authority", "a b")], &[]),
        fields(&[(":authority", "a/b")], &[]),
        fields(&[(":authority", "user@a")], &[]),
        fields(&[(":scheme", "ftp")], &[]),
        fields(&[(":method", "GET / HTTP/1.1\r\nHost: a\r\n\r\n")], &[]),
        fields(&[(":method", "get")], &[]),
        fields(&[(":method", "TRACE")], &[]),
        without(":method"),
        without(":path"),
        without(":scheme"),
        without(":authority"),
        vec![(":method", "CONNECT"), (":authority", "a:80")],
    ];
    for case in cases {
        let mut client = Frames::connect(proxy.address);
        client.request(1, END_STREAM, &case);
        let answer = client.next_of(&[HEADERS, RST_STREAM, GOAWAY]);
        if let Some(answer) = answer.filter(|answer| answer.kind == HEADERS) {
            assert!(matches!(answer.status(), Some(400) | None), "{case:?}");
        }
        assert_eq!(upstream.requests(), 0, "{case:?}");
    }
    assert_eq!(get(proxy.address, "a", "/").status, 200);
}

/// The library cuts a fragment off before anybody matches the path: all read the same.
#[test]
fn a_fragment_is_for_nobody() {
    let upstream = Upstream::echo("web");
    let proxy = proxy(&upstream);
    let mut client = Frames::connect(proxy.address);
    client.request(1, END_STREAM, &fields(&[(":path", "/a#/../b")], &[]));
    assert_eq!(client.next_of(&[HEADERS]).unwrap().status(), Some(200));
    assert_eq!(upstream.next_head().line, "GET /a HTTP/1.1");
}

/// Scenario 104: a length that is not that of the body.
#[test]
fn a_body_of_another_length_than_it_says_is_no_request() {
    let upstream = Upstream::start(|mut connection| {
        while let Some(head) = connection.head() {
            if head.header("content-length") == Some("5") {
                // Nothing follows the part that came, least of all another request.
                assert_eq!(connection.read_exact(6), None);
                return;
            }
            connection.answer(200, "", "");
        }
    });
    let proxy = proxy(&upstream);
    for body in ["123", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut client = Frames::connect(proxy.address);
        client.request(
            1,
            0,
            &fields(&[(":method", "POST")], &[("content-length", "5")]),
        );
        assert_eq!(upstream.next_head().line, "POST / HTTP/1.1");
        client.send(DATA, END_STREAM, 1, body.as_bytes());
        let answer = client.next_of(&[HEADERS, RST_STREAM, GOAWAY]).unwrap();
        assert_eq!((answer.kind, answer.code()), (RST_STREAM, PROTOCOL_ERROR));
        assert_eq!(upstream.requests(), 0);
    }
}

/// Scenario 102, CVE-2023-44487.
#[test]
fn requests_that_are_taken_back_at_once_end_the_connection() {
    let upstream = Upstream::echo("web");
    let proxy = proxy(&upstream);
    let mut client = Frames::connect(proxy.address);
    let mut burst = Vec::new();
    for number in 0..100_000_u32 {
        let stream = 2 * number + 1;
        burst.extend(frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            stream,
            &block(&GET),
        ));
        burst.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    assert!(!client.try_send(&burst), "the other side closes");
    assert!(upstream.requests() < 1_500, "{}", upstream.requests());
    assert_eq!(get(proxy.address, "a", "/").status, 200);
}

/// Scenario 102 where each request is under way before it is taken back.
#[test]
fn requests_that_are_taken_back_later_end_the_connection() {
    let upstream = Upstream::start(|mut connection| {
        if let Some(head) = connection.head()
            && head.line.contains("fine")
        {
            connection.answer(200, "", "");
        }
        connection.expect_close();
    });
    let proxy = proxy(&upstream);
    let mut client = Frames::connect(proxy.address);
    let mut served = 0;
    let mut stream = 1;
    loop {
        client.request(stream, END_STREAM, &GET);
        client.send(PING, 0, 0, &[0; 8]);
        let Some(frame) = client.next_of(&[PING, GOAWAY]) else {
            break;
        };
        if frame.kind == GOAWAY {
            break;
        }
        served += 1;
        stream += 2;
        assert!(served <= 501, "no end to it");
        if !client.try_send(&crate::frames::frame(
            RST_STREAM,
            0,
            stream - 2,
            &8_u32.to_be_bytes(),
        )) {
            break;
        }
    }
    assert!(served >= 490, "{served}");
    assert_eq!(get(proxy.address, "a", "/fine").status, 200);
}

/// Scenario 102, CVE-2025-8671: the client makes us reset.
#[test]
fn resets_that_the_client_provokes_end_the_connection() {
    let upstream = Upstream::start(|mut connection| {
        if let Some(head) = connection.head()
            && head.line.contains("fine")
        {
            connection.answer(200, "", "");
        }
        connection.expect_close();
    });
    let proxy = proxy(&upstream);
    let mut client = Frames::connect(proxy.address);
    let mut burst = Vec::new();
    for number in 0..2_000_u32 {
        let stream = 2 * number + 1;
        let head = block(&GET);
        burst.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head));
        burst.extend(frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()));
    }
    client.try_send(&burst);
    assert!(
        client
            .next_of(&[GOAWAY])
            .is_none_or(|goaway| goaway.code() != 0)
    );
    while client.next().is_some() {}
    assert_eq!(get(proxy.address, "a", "/fine").status, 200);
}

/// Scenario 103: heads without end, with and without anything in them.
#[test]
fn a_flood_of_continuations_ends_the_connection() {
    let upstream = Upstream::echo("web");
    let proxy = proxy(&upstream);
    let large = block(&[("x", &"y".repeat(16_000))]);
    for piece in [&large[..], &[]] {
        let mut client = Frames::connect(proxy.address);
        client.send(HEADERS, END_STREAM, 1, &block(&GET));
        let flood = frame(CONTINUATION, 0, 1, piece).repeat(4 * 1024 * 1024 / (piece.len() + 9));
        let mut sent = 0;
        while client.try_send(&flood) {
            sent += 1;
            assert!(sent < 10, "no end to it");
        }
    }
    assert_eq!(upstream.requests(), 0);
    assert_eq!(get(proxy.address, "a", "/").status, 200);
}

/// Scenario 103: a small block that stands for a large head.
#[test]
fn a_head_that_unpacks_to_more_than_is_allowed_is_refused() {
    let upstream = Upstream::echo("web");
    let limits = Limits {
        head_bytes: 16 * 1024,
        ..Limits::default()
    };
    let config = Config {
        h2c: true,
        limits,
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Frames::connect(proxy.address);
    // One entry of 3 KiB for the table, and then a byte for each time it is repeated.
    let mut bomb = block(&GET);
    bomb.extend([0x40, 1, b'x', 0x7f, 0xb9, 0x16]);
    bomb.extend([b'y'; 3000]);
    bomb.extend([0xbe; 4000]);
    client.send(HEADERS, END_STREAM | END_HEADERS, 1, &bomb);
    let answer = client.next_of(&[HEADERS, RST_STREAM, GOAWAY]);
    // 431 is not in the static table.
    assert!(answer.is_none_or(|answer| answer.kind != HEADERS || answer.status().is_none()));
    assert_eq!(upstream.requests(), 0);
    assert_eq!(get(proxy.address, "a", "/").status, 200);
}

/// Scenario 103: frames that ask for an answer or say nothing, from a client that reads no answers.
#[test]
fn floods_of_small_frames_hold_up_nobody() {
    let upstream = Upstream::echo("web");
    let proxy = proxy(&upstream);
    let floods = [
        frame(PING, 0, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, &[]),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]),
        frame(DATA, 0, 1, &[]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(2, 0, 1, &[0, 0, 0, 0, 0]), // PRIORITY
        frame(77, 0, 0, &[0; 100]),       // unknown
    ];
    for flood in floods {
        let mut client = Frames::connect(proxy.address);
        client.request(1, 0, &fields(&[(":method", "POST")], &[]));
        let flood = flood.repeat(20_000);
        // In the background: it may block for good, when we stop reading because it does not.
        let flooding = std::thread::spawn(move || {
            client.try_send(&flood);
            client
        });
        for _ in 0..20 {
            assert_eq!(get(proxy.address, "a", "/").status, 200);
        }
        drop(flooding);
    }
}

#[test]
fn garbage_after_the_preface_ends_the_connection() {
    let upstream = Upstream::echo("web");
    let proxy = proxy(&upstream);
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        frame(SETTINGS, ACK, 0, &[0; 6]),
        vec![0xff; 100],
    ] {
        let mut client = Frames::silent(proxy.address);
        client.send_bytes(PREFACE);
        client.send_bytes(&garbage);
        while let Some(frame) = client.next() {
            assert_ne!(frame.kind, HEADERS);
        }
    }
    assert_eq!(upstream.requests(), 0);
}
