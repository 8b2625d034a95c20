use super::*;

/// A head that is complete.
fn parsed(text: &str) -> Result<Head, Invalid> {
    answer_to(false, text)
}

fn answer_to(is_head: bool, text: &str) -> Result<Head, Invalid> {
    let mut received = BytesMut::from(text);
    let head = parse(&mut received, 0, is_head, &mut HeaderMap::new());
    head.map(|head| head.expect("the head is complete"))
}

fn decoder(text: &str) -> Result<Decoder, Invalid> {
    parsed(text).map(|head| head.decoder)
}

#[test]
fn a_head_is_taken_and_what_follows_stays() {
    let mut received = BytesMut::from(
        "HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:  two words \r\nempty:\r\ncontent-length: 2\r\n\r\nhi",
    );
    let head = parse(&mut received, 0, false, &mut HeaderMap::new())
        .unwrap()
        .unwrap();
    assert_eq!(&received[..], b"hi");
    assert_eq!(head.response.status(), 200);
    assert_eq!(head.response.version(), Version::HTTP_11);
    let headers = head.response.headers();
    assert_eq!(headers.len(), 4);
    let both: Vec<_> = headers.get_all("x-a").iter().collect();
    assert_eq!(both, ["1", "two words"]);
    assert_eq!(headers["empty"], "");
    assert!(head.keep_alive);
    assert_eq!(head.decoder, Decoder::Length(2));
}

#[test]
fn a_head_may_come_in_any_pieces() {
    for line_end in ["\r\n", "\n"] {
        let text = ["HTTP/1.1 204 No Content", "a: 1", "b: 2", "", ""].join(line_end);
        for first in 1..text.len() {
            let mut received = BytesMut::from(&text[..first]);
            assert!(
                parse(&mut received, 0, false, &mut HeaderMap::new())
                    .unwrap()
                    .is_none(),
                "{first} bytes"
            );
            received.extend_from_slice(&text.as_bytes()[first..]);
            let head = parse(&mut received, first, false, &mut HeaderMap::new()).unwrap();
            assert_eq!(head.unwrap().response.headers()["b"], "2", "{first} bytes");
        }
        let mut received = BytesMut::new();
        let mut head = None;
        for byte in text.bytes() {
            let looked_at = received.len();
            assert!(head.is_none());
            received.extend_from_slice(&[byte]);
            head = parse(&mut received, looked_at, false, &mut HeaderMap::new()).unwrap();
        }
        assert!(head.is_some());
    }
}

#[test]
fn reasons_are_kept_where_they_tell_something() {
    let reason = |text| {
        let head = parsed(text).unwrap();
        let reason = head.response.extensions().get::<ReasonPhrase>().cloned();
        reason.map(|reason| reason.as_bytes().to_vec())
    };
    assert_eq!(reason("HTTP/1.1 200 OK\r\n\r\n"), None);
    assert_eq!(reason("HTTP/1.1 200 Fine\r\n\r\n"), Some(b"Fine".to_vec()));
    assert_eq!(reason("HTTP/1.1 599 Odd\r\n\r\n"), Some(b"Odd".to_vec()));
}

#[test]
fn connections_are_kept_as_both_the_version_and_the_header_say() {
    let cases = [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "connection: close\r\n", false),
        ("HTTP/1.1", "connection: x, Close\r\n", false),
        (
            "HTTP/1.1",
            "connection: keep-alive\r\nconnection: close\r\n",
            false,
        ),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "connection: Keep-Alive\r\n", true),
    ];
    for (version, connection, expected) in cases {
        let head = parsed(&format!("{version} 200 OK\r\n{connection}\r\n")).unwrap();
        assert_eq!(head.keep_alive, expected, "{version} {connection}");
    }
}

#[test]
fn a_connection_is_kept_for_less_than_the_endpoint_says() {
    let cases = [
        ("keep-alive: timeout=5\r\n", Some(4)),
        ("Keep-Alive: max=100, Timeout=5\r\n", Some(4)),
        (
            "keep-alive: max=100\r\nkeep-alive: timeout=72\r\n",
            Some(71),
        ),
        ("keep-alive: timeout=1\r\n", Some(0)),
        ("keep-alive: timeout=0\r\n", Some(0)),
        ("", None),
        ("keep-alive: timeout\r\n", None),
        ("keep-alive: timeout=\r\n", None),
        ("keep-alive: timeout=-1\r\n", None),
        ("keep-alive: timeout=99999999999999999999\r\n", None),
        ("keep-alive: xtimeout=5\r\n", None),
    ];
    for (fields, seconds) in cases {
        let of = |option: &str| {
            let head = parsed(&format!("HTTP/1.1 200 OK\r\n{option}{fields}\r\n"));
            head.unwrap().patience.map(|it| it.as_secs())
        };
        assert_eq!(of("connection: keep-alive\r\n"), seconds, "{fields}");
        assert_eq!(of(""), None, "{fields}");
    }
}

#[test]
fn the_end_of_the_body_is_found_in_the_order_of_the_specification() {
    let of = |fields: &str| decoder(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
    assert_eq!(of(""), Ok(Decoder::UntilClose));
    assert_eq!(of("content-length: 0\r\n"), Ok(Decoder::Length(0)));
    assert_eq!(of("transfer-encoding: Chunked\r\n"), Ok(Decoder::chunked()));
    for fields in [
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
    ] {
        assert_eq!(of(fields), Err(Invalid::Length), "{fields:?}");
    }
    for length in ["", "+5", "-1", "5,5", "0x5", "5 5", "18446744073709551616"] {
        let decoder = of(&format!("content-length: {length}\r\n"));
        assert_eq!(decoder, Err(Invalid::Length), "{length:?}");
    }
    assert_eq!(
        of("content-length: 5\r\ncontent-length: 5\r\n"),
        Err(Invalid::Length)
    );
    assert_eq!(
        decoder("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        Err(Invalid::Length)
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n";
    assert_eq!(answer_to(true, head).unwrap().decoder, Decoder::Empty);
    for status in [101, 103, 204, 304] {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 7\r\n\r\n");
        assert_eq!(decoder(&head), Ok(Decoder::Empty), "{status}");
    }
}

#[test]
fn what_is_not_a_head_is_refused() {
    for text in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nspace : 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: 1\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: \x01\r\n\r\n",
    ] {
        assert!(parsed(text).is_err(), "{text:?}");
    }
    let many = "a: 1\r\n".repeat(MOST_FIELDS + 1);
    let error = parsed(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).unwrap_err();
    assert_eq!(error, Invalid::Syntax(httparse::Error::TooManyHeaders));
}
