//! Keys that end with a network: the kernel has the first and the last key that it stands for.

use fairway_plan::{Bytes, Family};

/// First and last key of a key that ends with a network.
pub(super) fn first_and_last(family: Family, key: &Bytes) -> Option<(Bytes, Bytes)> {
    let (first, [prefix, ..]) = key.0.split_last_chunk::<4>()?;
    let (rest, address) = first.split_at_checked(first.len() - family.address_length())?;
    let bits = 8 * family.address_length() as u32;
    let hosts = low_bits(bits.checked_sub(u32::from(*prefix))?);
    let last = (number(address) | hosts).to_be_bytes();
    let last = [rest, &last[last.len() - family.address_length()..]].concat();
    Some((Bytes(first.into()), Bytes(last.into())))
}

/// The key of which these are first and last; None if they are not those of a network.
pub(super) fn key(first: Bytes, last: &Bytes) -> Option<Bytes> {
    // An address, protocol and port, 4 bytes each, and an address.
    let address_length = match first.0.len() {
        16 => 4,
        40 => 16,
        _ => return None,
    };
    let (rest, address) = first.0.split_at(first.0.len() - address_length);
    let (last_rest, last_address) = last.0.split_at_checked(rest.len())?;
    let differing = number(address) ^ number(last_address);
    let host_bits = differing.trailing_ones();
    let is_network = rest == last_rest
        && address.len() == last_address.len()
        && differing == low_bits(host_bits)
        && number(address) & differing == 0;
    let prefix = u8::try_from(8 * address_length as u32 - host_bits.min(8 * address_length as u32));
    let mut key = first;
    key.0.extend_from_slice(&[prefix.ok()?, 0, 0, 0]);
    is_network.then_some(key)
}

fn number(address: &[u8]) -> u128 {
    let shifted = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    address.iter().fold(0, shifted)
}

fn low_bits(count: u32) -> u128 {
    match count {
        0 => 0,
        count => u128::MAX >> (128 - count.min(128)),
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    fn network(bytes: [u8; 16], prefix: u8, family: Family) -> IpNet {
        let network = match family {
            Family::Ip4 => IpNet::new([bytes[0], bytes[1], bytes[2], bytes[3]].into(), prefix % 33),
            Family::Ip6 => IpNet::new(bytes.into(), prefix % 129),
        };
        network.unwrap().trunc()
    }

    proptest! {
        #[test]
        fn networks_come_out_as_they_went_in(bytes: [u8; 16], prefix: u8) {
            for family in Family::ALL {
                let network = network(bytes, prefix, family);
                let frontend = Bytes::new().address(network.addr()).slot(6).slot(80);
                let written = frontend.clone().network(network);
                let (first, last) = first_and_last(family, &written).unwrap();
                prop_assert_eq!(&first, &frontend.clone().address(network.network()));
                prop_assert_eq!(&last, &frontend.address(network.broadcast()));
                prop_assert_eq!(key(first, &last), Some(written));
            }
        }

        #[test]
        fn other_ranges_are_no_networks(first: [u8; 16], last: [u8; 16]) {
            let keys = [first, last].map(|key| Bytes(key.as_slice().into()));
            let [first, last] = keys;
            if let Some(key) = key(first.clone(), &last) {
                prop_assert_eq!(first_and_last(Family::Ip4, &key), Some((first, last)));
            }
        }
    }

    #[test]
    fn a_range_is_no_network() {
        let of = |last| {
            Bytes::new()
                .address([10, 0, 0, 1].into())
                .slot(6)
                .slot(80)
                .address(last)
        };
        let first = of([10, 0, 0, 4].into());
        assert!(key(first.clone(), &of([10, 0, 0, 7].into())).is_some());
        for last in [[10, 0, 0, 6], [10, 0, 0, 3], [10, 0, 0, 15]] {
            assert_eq!(key(first.clone(), &of(last.into())), None);
        }
        assert_eq!(key(first, &Bytes::new()), None);
    }
}
