use proptest::prelude::*;

use super::*;

fn addresses(source: &str, destination: &str) -> Addresses {
    Addresses {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// A version 2 header with these bytes after the signature and before the length.
fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family][..], &length, rest].concat()
}

const BLOCK_4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0xdb, 0x04, 0x01, 0xbb];

#[test]
fn both_versions_name_client_and_destination() {
    let v4 = addresses("192.0.2.1:56068", "198.51.100.7:443");
    let v6 = addresses("[2001:db8::1]:56068", "[2001:db8::7]:443");
    let block = |ip: &str| ip.parse::<Ipv6Addr>().unwrap().octets();
    let block_6 = [
        &block("2001:db8::1")[..],
        &block("2001:db8::7"),
        &BLOCK_4[8..],
    ]
    .concat();
    let with_tlvs = [&BLOCK_4[..], &[0x04, 0, 2, 0, 0], &[0x05, 0, 0]].concat();
    for (header, expected) in [
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.7 56068 443\r\n".to_vec(),
            Some(v4),
        ),
        (
            b"PROXY TCP6 2001:DB8:0::1 2001:db8::7 56068 443\r\n".to_vec(),
            Some(v6),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff:f:f 1 2 anything\r\n".to_vec(), None),
        (version_2(0x21, 0x11, &BLOCK_4), Some(v4)),
        (version_2(0x21, 0x11, &with_tlvs), Some(v4)),
        (version_2(0x21, 0x21, &block_6), Some(v6)),
        (version_2(0x21, 0x31, &[1; 216]), None),
        (version_2(0x21, 0x00, b"whatever"), None),
        (version_2(0x20, 0x00, b""), None),
        (version_2(0x20, 0x11, &BLOCK_4), None),
        (version_2(0x20, 0xff, b"whatever"), None),
    ] {
        let header_of = Header {
            length: header.len(),
            addresses: expected,
        };
        for length in 0..header.len() {
            assert_eq!(
                Start::of(&header[..length]),
                Start::Incomplete,
                "{header:?}"
            );
        }
        assert_eq!(Start::of(&header), Start::Header(header_of));
        let more = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(Start::of(&more), Start::Header(header_of));
    }
}

#[test]
fn what_is_not_quite_a_header_is_malformed() {
    for line in [
        "TCP4 192.0.2.1 198.51.100.7 1 70000",
        "TCP4 192.0.2.1 198.51.100.7 1 0443",
        "TCP4 192.0.2.1 198.51.100.7 1 +443",
        "TCP4 192.0.2.1 198.51.100.7 1 ",
        "TCP4 192.0.2.1 198.51.100.7 1",
        "TCP4 192.0.2.1 198.51.100.7 1 2 3",
        "TCP4 192.0.2.1  198.51.100.7 1 2",
        " TCP4 192.0.2.1 198.51.100.7 1 2",
        "TCP4 192.0.2.1 198.51.100.7 1 2 ",
        "TCP4 192.0.02.1 198.51.100.7 1 2",
        "TCP4 192.0.2.256 198.51.100.7 1 2",
        "TCP4 2001:db8::1 2001:db8::7 1 2",
        "TCP6 192.0.2.1 198.51.100.7 1 2",
        "TCP6 ::1 192.0.2.1 1 2",
        "TCP6 fe80::1%eth0 ::1 1 2",
        "tcp4 192.0.2.1 198.51.100.7 1 2",
        "UDP4 192.0.2.1 198.51.100.7 1 2",
        "TCP5 192.0.2.1 198.51.100.7 1 2",
        "UNKNOWN\t",
        "unknown",
        "",
        "TCP4\t192.0.2.1 198.51.100.7 1 2",
        "TCP4 192.0.2.1 198.51.100.7 1 2\0",
    ] {
        let header = format!("PROXY {line}\r\n");
        assert_eq!(Start::of(header.as_bytes()), Start::Malformed, "{line:?}");
    }
    for header in [
        &b"PROXY UNKNOWN\n"[..],
        b"PROXY UNKNOWN\rGET",
        &version_2(0x11, 0x11, &BLOCK_4),
        &version_2(0x31, 0x11, &BLOCK_4),
        &version_2(0x22, 0x11, &BLOCK_4),
        &version_2(0x21, 0x12, &BLOCK_4),
        &version_2(0x21, 0x41, &BLOCK_4),
        &version_2(0x21, 0x11, &BLOCK_4[1..]),
        &version_2(0x21, 0x21, &BLOCK_4),
        &version_2(0x21, 0x31, &[1; 215]),
        &version_2(0x21, 0x11, &[&BLOCK_4[..], &[4, 0, 3, 0, 0]].concat()),
        &version_2(0x21, 0x11, &[&BLOCK_4[..], &[4, 0]].concat()),
    ] {
        assert_eq!(Start::of(header), Start::Malformed, "{header:?}");
    }
}

#[test]
fn nothing_longer_than_the_limits_is_waited_for() {
    let line = |length: usize| {
        let mut line = format!("PROXY UNKNOWN {:1$}", "", length - 16).into_bytes();
        line.extend(b"\r\n");
        line
    };
    assert!(matches!(Start::of(&line(107)), Start::Header(_)));
    assert_eq!(Start::of(&line(107)[..106]), Start::Incomplete);
    assert_eq!(Start::of(&line(108)), Start::Malformed);
    assert_eq!(Start::of(&line(109)), Start::TooLong);
    assert_eq!(Start::of(&line(109)[..107]), Start::TooLong);

    let longest = version_2(0x20, 0, &[0; LONGEST_REST]);
    assert_eq!(longest.len(), LONGEST);
    assert!(matches!(Start::of(&longest), Start::Header(_)));
    let longer = version_2(0x20, 0, &[0; LONGEST_REST + 1]);
    assert_eq!(Start::of(&longer[..FIXED]), Start::TooLong);
}

#[test]
fn everything_else_is_no_header() {
    for other in [
        "GET / HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n",
        "PROXY\t",
        "proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
        "\r\n\r\nGET",
        "\u{16}\u{3}\u{1}",
    ] {
        assert_eq!(Start::of(other.as_bytes()), Start::Other, "{other:?}");
    }
    assert_eq!(Start::of(b""), Start::Incomplete);
}

/// Bytes that begin like a header, or do not.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let text = "[TU]?[CN]?[PK]?[46N]? ?[0-9.:a-f ]{0,60}[\r\n]{0,2}";
    let beginning = prop_oneof![
        Just(Vec::new()),
        text.prop_map(|text| [TEXT, text.as_bytes()].concat()),
        Just(SIGNATURE.to_vec()),
        (0x1f_u8..0x23, 0_u8..0x33, 0_u8..2).prop_map(|(command, family, high)| [
            SIGNATURE,
            &[command, family, high][..]
        ]
        .concat()),
    ];
    let rest = proptest::collection::vec(any::<u8>(), 0..300);
    (beginning, rest).prop_map(|(beginning, rest)| [beginning, rest].concat())
}

proptest! {
    /// However a stream is cut, it is judged once, and more bytes change nothing.
    #[test]
    fn a_judgement_stands(bytes in hostile()) {
        let whole = Start::of(&bytes);
        if let Start::Header(header) = whole {
            prop_assert!(header.length <= bytes.len());
        }
        let first = (0..=bytes.len())
            .map(|length| Start::of(&bytes[..length]))
            .find(|start| *start != Start::Incomplete);
        prop_assert_eq!(first.unwrap_or(Start::Incomplete), whole);
    }

    /// Another implementation writes, and reads no less than ours.
    #[test]
    fn an_independent_sender_is_understood(source: SocketAddr, destination: SocketAddr) {
        let alike = source.is_ipv4() == destination.is_ipv4();
        let plain = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
        let (source, destination) = (plain(source), plain(destination));
        prop_assume!(alike);
        let told = proxy_header::ProxiedAddress::stream(source, destination);
        let told = proxy_header::ProxyHeader::with_address(told);
        let (mut text, mut binary) = (Vec::new(), Vec::new());
        told.encode_v1(&mut text).unwrap();
        told.encode_v2(&mut binary).unwrap();
        for header in [text, binary] {
            let expected = Header {
                length: header.len(),
                addresses: Some(Addresses { source, destination }),
            };
            prop_assert_eq!(Start::of(&header), Start::Header(expected));
        }
    }

    /// But for headers without a client, of which the other one refuses some.
    #[test]
    fn an_independent_reader_takes_what_we_take(bytes in hostile()) {
        if let Start::Header(ours) = Start::of(&bytes) && ours.addresses.is_some() {
            let theirs = proxy_header::ProxyHeader::parse(&bytes, proxy_header::ParseConfig::default());
            let (theirs, length) = theirs.unwrap();
            prop_assert_eq!(length, ours.length);
            let source = theirs.proxied_address().map(|addresses| addresses.source);
            prop_assert_eq!(source, ours.addresses.map(|addresses| addresses.source));
        }
    }
}
