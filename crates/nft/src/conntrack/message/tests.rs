use super::*;
use crate::wire::reader::messages;

struct Parts {
    zone: Option<u16>,
    tuple_zone: Option<u16>,
    protocol: u8,
    status: u32,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            zone: None,
            tuple_zone: None,
            protocol: 17,
            status: 0x18a | IPS_DST_NAT,
        }
    }
}

fn tuple(writer: &mut Writer, kind: u16, parts: &Parts, ends: [([u8; 4], u16); 2]) {
    let [(source, source_port), (destination, destination_port)] = ends;
    writer.nested(kind, |writer| {
        writer.nested(CTA_TUPLE_IP, |writer| {
            writer.attribute(CTA_IP_V4_SRC, &source);
            writer.attribute(CTA_IP_V4_DST, &destination);
        });
        writer.nested(CTA_TUPLE_PROTO, |writer| {
            writer.attribute(CTA_PROTO_NUM, &[parts.protocol]);
            writer.attribute(CTA_PROTO_SRC_PORT, &source_port.to_be_bytes());
            writer.attribute(CTA_PROTO_DST_PORT, &destination_port.to_be_bytes());
        });
        if let Some(zone) = parts.tuple_zone {
            writer.attribute(CTA_TUPLE_ZONE, &zone.to_be_bytes());
        }
    });
}

/// What the kernel sends of a flow from a pod to a ClusterIP.
fn message(parts: &Parts) -> Vec<u8> {
    let (client, frontend) = (([10, 244, 1, 9], 40_000), ([10, 96, 0, 10], 53));
    let endpoint = ([10, 244, 2, 7], 5353);
    let mut writer = Writer::default();
    writer.message(NFNL_SUBSYS_CTNETLINK << 8, 0, 1, 2, |writer| {
        tuple(writer, CTA_TUPLE_ORIG, parts, [client, frontend]);
        tuple(writer, CTA_TUPLE_REPLY, parts, [endpoint, client]);
        writer.u32(CTA_STATUS, parts.status);
        writer.u32(CTA_ID, 0xdead_beef);
        if let Some(zone) = parts.zone {
            writer.attribute(CTA_ZONE, &zone.to_be_bytes());
        }
    });
    writer.bytes().to_vec()
}

fn parse(parts: &Parts) -> Option<Flow> {
    let bytes = message(parts);
    let message = messages(&bytes).next().unwrap();
    Found::parse(message.attributes()).map(|found| found.flow)
}

#[test]
fn a_flow_is_where_it_was_sent_and_where_it_is_answered_from() {
    let flow = parse(&Parts::default()).unwrap();
    let expected = Flow {
        protocol: Protocol::Udp,
        destination: ([10, 96, 0, 10], 53).into(),
        answered_from: ([10, 244, 2, 7], 5353).into(),
        translated: true,
    };
    assert_eq!(flow, expected);
    let status = 0x18a;
    let flow = parse(&Parts {
        status,
        ..Parts::default()
    });
    assert!(!flow.unwrap().translated);
}

#[test]
fn what_is_in_a_zone_or_has_no_ports_is_of_no_interest() {
    for parts in [
        Parts {
            zone: Some(7),
            ..Parts::default()
        },
        Parts {
            tuple_zone: Some(7),
            ..Parts::default()
        },
        Parts {
            protocol: 1,
            ..Parts::default()
        },
    ] {
        assert_eq!(parse(&parts), None);
    }
}

#[test]
fn it_is_that_very_flow_that_is_deleted() {
    let bytes = message(&Parts::default());
    let read = messages(&bytes).next().unwrap();
    let found = Found::parse(read.attributes()).unwrap();
    let mut writer = Writer::default();
    delete(&mut writer, 2, Family::Ip4, &found);
    let request = messages(writer.bytes()).next().unwrap();
    assert_eq!(request.kind, IPCTNL_MSG_CT_DELETE);
    for kind in [CTA_TUPLE_ORIG, CTA_ID] {
        let [sent, received] = [request, read].map(|message| find(message.attributes(), kind));
        assert_eq!(sent, received);
        assert!(sent.is_some());
    }
}

#[test]
fn whatever_is_cut_off_is_not_a_flow() {
    let bytes = message(&Parts::default());
    let read = messages(&bytes).next().unwrap();
    let attributes = read.attributes();
    for length in 0..attributes.len() {
        assert!(Found::parse(&attributes[..length]).is_none());
    }
}
