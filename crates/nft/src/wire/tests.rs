use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fairway_model::{Port, Protocol};
use fairway_plan::{Bytes, Element, Family, Rule, SetName, SlotClass, Statement};
use proptest::prelude::*;

use super::constants::{NETFILTER_HEADER, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_ERROR};
use super::element::Direction;
use super::reader::{self, Answer};
use super::set::Shape;
use super::writer::Writer;
use super::{chain, element, rule, set};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn class(slots: usize) -> SlotClass {
    SlotClass::of(slots).unwrap()
}

/// The value of an attribute of the only message.
fn attribute(writer: &Writer, kind: u16) -> Vec<u8> {
    let message = reader::messages(writer.bytes()).next().unwrap();
    reader::find(message.attributes(), kind).unwrap().to_vec()
}

#[test]
fn writes_an_element_as_nft_does() {
    let element = Element {
        set: SetName::Endpoints(class(2)),
        key: Bytes::new()
            .address(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)))
            .protocol(Protocol::Tcp)
            .port(port(80))
            .slot(1),
        value: Bytes::new()
            .address(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2)))
            .port(port(8080)),
    };
    let mut writer = Writer::default();
    let elements = [&element].into_iter();
    element::write(
        &mut writer,
        7,
        Family::Ip4,
        Direction::Add,
        element.set,
        elements,
    );
    let expected = [
        "600000000c0a010407000000", // a NEWSETELEM of 96 bytes, request and create, number 7
        "0000000002000000",         // from this socket, about ip
        "0c0001006661697277617900", // fairway
        "10000200656e64706f696e74732d3200", // endpoints-2
        "300003802c00018018000180", // list, element, key
        "140001000a00000106000000", // 10.0.0.1 tcp
        "0050000001000000",         // 80, slot 1
        "100002800c0001000a010002", // value: 10.1.0.2
        "1f900000",                 // 8080
    ];
    assert_eq!(hex(writer.bytes()), expected.concat());

    let message = reader::messages(writer.bytes()).next().unwrap();
    let list = reader::find(message.attributes(), 3).unwrap();
    let entry = reader::find(list, 1).unwrap();
    assert_eq!(element::read(element.set, entry), Some(element));
}

/// Read back from what nft 1.0.6 made of `typeof ip daddr . meta l4proto . th dport . numgen random
/// mod 2 : ip daddr . th dport`, and of the same with `ip6`.
#[test]
fn writes_the_user_data_of_a_set_as_nft_does() {
    let name = SetName::Endpoints(class(2));
    for (family, daddr, key_type, data_type) in [
        (
            Family::Ip4,
            "00040c00000001040c000000",
            "001cc344",
            "000001cd",
        ),
        (
            Family::Ip6,
            "00040d000000010409000000",
            "0020c344",
            "0000020d",
        ),
    ] {
        let mut writer = Writer::default();
        set::create(&mut writer, 1, family, name, 1);
        let expected = format!(
            "000400000000010400000000036000040d0000000158001400040700000001\
             0c{daddr}010e00040900000001060004100000000214000407000000010c00040b000000010402000000\
             031a0004170000000112000401000000010402000000020400000000\
             043400040d000000012c0014000407000000010c{daddr}0114000407000000010c00040b000000010402000000\
             060400000000"
        );
        assert_eq!(hex(&attribute(&writer, 13)), expected);
        assert_eq!(hex(&attribute(&writer, 4)), key_type);
        assert_eq!(hex(&attribute(&writer, 6)), data_type);
        let message = reader::messages(writer.bytes()).next().unwrap();
        assert_eq!(
            Shape::read(message.attributes()),
            Some(Shape::of(name, family))
        );
    }
}

#[test]
fn a_message_of_elements_ends_below_64_kib() {
    let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let set = SetName::Endpoints(class(16));
    let element = Element {
        set,
        key: Bytes::new()
            .address(address)
            .protocol(Protocol::Udp)
            .port(port(1))
            .slot(0),
        value: Bytes::new().address(address).port(port(1)),
    };
    for direction in [Direction::Add, Direction::Delete] {
        let mut writer = Writer::default();
        let endless = std::iter::repeat(&element);
        element::write(&mut writer, 1, Family::Ip6, direction, set, endless);
        let list = attribute(&writer, 3);
        assert!(list.len() < 0xffff - 4, "{}", list.len());
        assert_eq!(reader::attributes(&list).count(), 961);
    }
}

#[test]
fn keeps_fingerprints() {
    let rule = Rule {
        statements: vec![Statement::Drop],
        comment: "says \"why\"",
    };
    for comment in ["", "says \"why\"", LONG] {
        let rule = Rule {
            comment,
            ..rule.clone()
        };
        let mut writer = Writer::default();
        rule::append(&mut writer, 1, Family::Ip4, "services", &rule).unwrap();
        let message = reader::messages(writer.bytes()).next().unwrap();
        assert_eq!(
            rule::fingerprint(message.attributes()),
            Some(rule.fingerprint())
        );
    }
}

const LONG: &str = "a comment that is longer than the 127 bytes that nft can hold, which nobody should \
                    write and which all the same must not make any trouble here";

fn answer(flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(NLMSG_ERROR.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

#[test]
fn reads_where_a_request_is_wrong() {
    let mut body = (-22_i32).to_ne_bytes().to_vec();
    body.extend([0; 16]); // the request's header
    let mut details = Writer::default();
    details.attribute(2, &100_u32.to_ne_bytes());
    details.string(1, "no");
    body.extend(details.bytes());
    let expected = Answer {
        errno: 22,
        offset: Some(100),
        text: Some("no"),
    };
    let bytes = answer(NLM_F_CAPPED | NLM_F_ACK_TLVS, &body);
    let read = |bytes: &[u8]| {
        reader::messages(bytes)
            .next()
            .unwrap()
            .answer()
            .map(|answer| (answer.errno, answer.offset, answer.text.map(str::to_owned)))
    };
    let expected = Some((
        expected.errno,
        expected.offset,
        expected.text.map(str::to_owned),
    ));
    assert_eq!(read(&bytes), expected);

    // The whole request may be echoed.
    let mut body = (-22_i32).to_ne_bytes().to_vec();
    let request = u32::try_from(NETFILTER_HEADER).unwrap().to_ne_bytes();
    body.extend(request);
    body.extend([0; NETFILTER_HEADER - 4]);
    body.extend(details.bytes());
    assert_eq!(read(&answer(NLM_F_ACK_TLVS, &body)), expected);
    assert_eq!(read(&answer(0, &body)), Some((22, None, None)));
    assert_eq!(read(&answer(0, &i32::MIN.to_ne_bytes())), None);
}

proptest! {
    /// The reader takes whatever comes.
    #[test]
    fn reading_never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        lengths in prop::collection::vec((any::<prop::sample::Index>(), 0..64_u16), 0..8),
    ) {
        // Lengths that are small make for more structure than those that are random.
        let mut bytes = bytes;
        for (at, length) in lengths {
            let at = at.index(bytes.len().max(2)) & !3;
            if let Some(target) = bytes.get_mut(at..at + 2) {
                target.copy_from_slice(&length.to_ne_bytes());
            }
        }
        for message in reader::messages(&bytes) {
            let _ = (message.answer(), message.done(), message.family());
            read_everything(message.attributes());
        }
        read_everything(&bytes);
    }

    /// What is written comes out again.
    #[test]
    fn attributes_come_out_as_they_went_in(
        values in prop::collection::vec((0..0x3fff_u16, prop::collection::vec(any::<u8>(), 0..40)), 0..20)
    ) {
        let mut writer = Writer::default();
        for (kind, value) in &values {
            writer.attribute(*kind, value);
        }
        let read: Vec<_> = reader::attributes(writer.bytes())
            .map(|attribute| (attribute.kind, attribute.value.to_vec()))
            .collect();
        prop_assert_eq!(read, values);
    }
}

fn read_everything(bytes: &[u8]) {
    let _ = (
        chain::hook(bytes),
        rule::fingerprint(bytes),
        Shape::read(bytes),
    );
    for attribute in reader::attributes(bytes) {
        let _ = element::read(SetName::Hairpin, attribute.value);
        let _ = (
            reader::number(attribute.value),
            reader::text(attribute.value),
        );
    }
}
