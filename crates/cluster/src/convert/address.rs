//! Addresses as the API lets them be written: leading zeros, white space, host bits in ranges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// An address; zeros before a decimal number mean nothing (they are not octal), and an IPv4 address
/// that is written as an IPv6 one is an IPv4 address.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Some(address) = sloppy_v4(text) {
        return Some(IpAddr::V4(address));
    }
    let address: Ipv6Addr = text.parse().ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

/// A range, masked: `203.0.113.007/025` is `203.0.113.0/25`.
pub(crate) fn range(text: &str) -> Option<IpNet> {
    let (address, length) = text.trim().split_once('/')?;
    let address = match sloppy_v4(address) {
        Some(address) => IpAddr::V4(address),
        None => IpAddr::V6(address.parse().ok()?),
    };
    let length = u8::try_from(decimal(length)?).ok()?;
    Some(IpNet::new(address, length).ok()?.trunc())
}

/// Why no endpoint can be at an address: traffic sent there stays on this node, or goes to a service
/// of the machine such as the cloud's metadata.
pub(crate) fn not_an_endpoint(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if link_local {
        return Some("a link-local address");
    }
    not_a_service(address)
}

/// Why no Service can have an address.
pub(crate) fn not_a_service(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        Some("the broadcast address")
    } else {
        None
    }
}

fn sloppy_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = u8::try_from(decimal(parts.next()?)?).ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// A decimal number with any number of leading zeros; no sign, no space.
fn decimal(text: &str) -> Option<u16> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = text.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("10.0.1.1", Some("10.0.1.1")),
            ("010.0.1.1", Some("10.0.1.1")),
            ("172.30.0.041", Some("172.30.0.41")),
            (" 10.0.0.1\n", Some("10.0.0.1")),
            ("2001:DB8::0001", Some("2001:db8::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("", None),
            ("None", None),
            ("10.0.1", None),
            ("10.0.1.1.1", None),
            ("10.0.1.256", None),
            ("10.0.1.-1", None),
            ("10.0.1.0x1", None),
            ("10.0.1.99999999999999999999", None),
            ("10.0.1. 1", None),
            ("fe80::1%eth0", None),
            ("2001:db8:::1", None),
            ("10.0.0.0/8", None),
        ] {
            let expected: Option<IpAddr> = expected.map(|text| text.parse().unwrap());
            assert_eq!(address(text), expected, "{text:?}");
        }
    }

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("203.0.113.000/025", Some("203.0.113.0/25")),
            ("\t10.1.2.3/8 ", Some("10.0.0.0/8")),
            ("2001:db8::1/64", Some("2001:db8::/64")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.0.0.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/300", None),
            ("2001:db8::/129", None),
            ("/8", None),
        ] {
            let expected: Option<IpNet> = expected.map(|text| text.parse().unwrap());
            assert_eq!(range(text), expected, "{text:?}");
        }
    }

    #[test]
    fn special_addresses() {
        for (text, endpoint, service) in [
            ("10.0.0.1", true, true),
            ("2001:db8::1", true, true),
            ("fd00::1", true, true),
            ("169.254.169.254", false, true),
            ("fe80::1", false, true),
            ("127.0.0.1", false, false),
            ("::1", false, false),
            ("0.0.0.0", false, false),
            ("::", false, false),
            ("224.0.0.1", false, false),
            ("ff02::1", false, false),
            ("255.255.255.255", false, false),
        ] {
            let address = address(text).unwrap();
            assert_eq!(not_an_endpoint(address).is_none(), endpoint, "{text}");
            assert_eq!(not_a_service(address).is_none(), service, "{text}");
        }
    }
}
