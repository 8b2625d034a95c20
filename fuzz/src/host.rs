//! The value of a Host header.

use std::net::{Ipv4Addr, Ipv6Addr};

use fairway_router::Host;

/// What hosts are made of.
pub const PIECES: &[&[u8]] = &[
    b".",
    b":",
    b"[",
    b"]",
    b"::",
    b"80",
    b"65535",
    b"65536",
    b"0",
    b"a",
    b"A",
    b"-",
    b"_",
    b"foo.com",
    b"10.0.0.1",
    b"2001:db8::1",
    b"::ffff:10.0.0.1",
    b"%25eth0",
    b"@",
    b"/",
    b" ",
    b",",
    b"\0",
    b"\xff",
    b"xn--bcher-kva",
    b"*.",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// What the router reads is what a plain reading of the rules says, and stays itself when read again.
pub fn check(input: &[u8]) {
    let host = Host::parse(input);
    let name = host.as_ref().map(|host| host.as_str().map(str::to_owned));
    assert_eq!(
        name.map_err(drop),
        plainly(input).ok_or(()),
        "{}",
        input.escape_ascii()
    );
    if let Ok(host) = host
        && let Some(name) = host.as_str()
    {
        assert_eq!(Host::parse(name.as_bytes()), Ok(host.clone()));
    }
}

/// The rules again, in the plainest terms. None: no host. `Some(None)`: one that no rule can name.
fn plainly(input: &[u8]) -> Option<Option<String>> {
    let text = std::str::from_utf8(input).ok().filter(|it| it.is_ascii())?;
    if let Some(literal) = text.strip_prefix('[') {
        let (literal, port) = literal.split_once(']')?;
        literal.parse::<Ipv6Addr>().ok()?;
        is_port(port).then_some(())?;
        return Some(None);
    }
    let (name, port) = match text.find(':') {
        Some(colon) => text.split_at(colon),
        None => (text, ""),
    };
    is_port(port).then_some(())?;
    let name = name.strip_suffix('.').unwrap_or(name).to_lowercase();
    let letters = |label: &str| {
        let mut letters = label.chars();
        letters.all(|it| matches!(it, 'a'..='z' | '0'..='9' | '-' | '_'))
    };
    let mut labels = name.split('.');
    if !labels.all(|label| !label.is_empty() && letters(label)) {
        return None;
    }
    let in_dns = name.len() <= 253 && name.split('.').all(|label| label.len() <= 63);
    Some((in_dns && name.parse::<Ipv4Addr>().is_err()).then_some(name))
}

/// Nothing, a colon, or a colon and digits that make a port.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some("") => true,
        Some(digits) => {
            let plain = digits.chars().all(|digit| digit.is_ascii_digit());
            let significant = digits.trim_start_matches('0');
            plain && significant.parse::<u16>().is_ok()
        }
    }
}
