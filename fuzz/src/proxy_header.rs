//! The first bytes of a connection from a trusted proxy.

use fairway_proxy::fuzzing::{Start, proxy_header};
use proxy_header::{ParseConfig, ProxyHeader};

/// What headers of both versions are made of.
pub const PIECES: &[&[u8]] = &[
    b"PROXY ",
    b"TCP4 ",
    b"TCP6 ",
    b"UNKNOWN",
    b"\r\n",
    b"\n",
    b" ",
    b"192.0.2.1",
    b"2001:db8::1",
    b"443",
    b"65536",
    b"00",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"\x20",
    b"\x21",
    b"\x11",
    b"\x12",
    b"\x21\x21",
    b"\x31",
    b"\0\x0c",
    b"\0\x24",
    b"\0\xd8",
    b"\xff\xff",
    b"\x04\0\0",
    b"\x03\0\x04",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\xc0\0\x02\x01\xc6\x33\x64\x07\xdb\x04\x01\xbb",
];

/// A header is one however many of its bytes have come, and whatever follows it; and an independent
/// reader finds the same addresses in it.
pub fn check(input: &[u8]) {
    let start = proxy_header(input);
    match start {
        Start::Header { length, addresses } => {
            assert!(length <= input.len());
            for end in 0..length {
                let part = proxy_header(&input[..end]);
                assert_eq!(part, Start::Incomplete, "{end} of {}", input.escape_ascii());
            }
            let alone = proxy_header(&input[..length]);
            assert_eq!(alone, start, "{}", input.escape_ascii());
            if let Some((source, destination)) = addresses {
                let told = ProxyHeader::parse(input, ParseConfig::default());
                let (header, taken) = told.expect("the other one takes it as well");
                let address = header.proxied_address().expect("it has addresses");
                assert_eq!(taken, length, "{}", input.escape_ascii());
                assert_eq!(
                    (address.source, address.destination),
                    (source, destination),
                    "{}",
                    input.escape_ascii()
                );
            }
        }
        // More bytes change nothing about it.
        Start::Refused | Start::Other => {
            let longer = [input, b"\r\n\0"].concat();
            assert_eq!(proxy_header(&longer), start, "{}", input.escape_ascii());
        }
        Start::Incomplete => assert!(input.len() <= 16 + 4096, "it would be waited for"),
    }
}
