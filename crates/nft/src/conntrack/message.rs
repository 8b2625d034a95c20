//! The messages of `nf_conntrack_netlink`. Numbers by the names they have in
//! `linux/netfilter/nfnetlink_conntrack.h`.

use std::net::{IpAddr, SocketAddr};

use fairway_model::Protocol;
use fairway_plan::{Family, Flow, FlowFilter};

use crate::wire::constants::{NLM_F_DUMP, family_number};
use crate::wire::reader::{attributes, find, number};
use crate::wire::writer::Writer;

const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_GET: u16 = NFNL_SUBSYS_CTNETLINK << 8 | 1;
const IPCTNL_MSG_CT_DELETE: u16 = NFNL_SUBSYS_CTNETLINK << 8 | 2;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;

const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_TUPLE_ZONE: u16 = 3;

const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;

const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;

/// Which fields of a tuple a filter compares; from the kernel's `nf_internals.h`, since 5.8.
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_F_CTA_PROTO_NUM: u32 = 1 << 3;
const CTA_FILTER_F_CTA_PROTO_DST_PORT: u32 = 1 << 5;

/// The destination is translated.
const IPS_DST_NAT: u32 = 1 << 5;

#[cfg(test)]
mod tests;

/// A flow, and what the kernel knows it by.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) flow: Flow,
    original: &'a [u8],
    id: &'a [u8],
}

/// Asks for the flows that pass a filter.
pub(super) fn list(writer: &mut Writer, sequence: u32, family: Family, filter: FlowFilter) {
    let number = family_number(family);
    writer.message(IPCTNL_MSG_CT_GET, NLM_F_DUMP, sequence, number, |writer| {
        let mut fields = CTA_FILTER_F_CTA_PROTO_NUM;
        writer.nested(CTA_TUPLE_ORIG, |writer| {
            writer.nested(CTA_TUPLE_PROTO, |writer| {
                writer.attribute(CTA_PROTO_NUM, &[filter.protocol.number()]);
                if let Some(port) = filter.port {
                    fields |= CTA_FILTER_F_CTA_PROTO_DST_PORT;
                    writer.attribute(CTA_PROTO_DST_PORT, &port.get().to_be_bytes());
                }
            });
        });
        writer.nested(CTA_FILTER, |writer| {
            // Unlike all others in the byte order of the host.
            writer.attribute(CTA_FILTER_ORIG_FLAGS, &fields.to_ne_bytes());
        });
    });
}

/// Deletes one flow. Without the tuple the kernel would delete all of them, without the number perhaps
/// a younger one.
pub(super) fn delete(writer: &mut Writer, sequence: u32, family: Family, found: &Found<'_>) {
    let number = family_number(family);
    writer.message(IPCTNL_MSG_CT_DELETE, 0, sequence, number, |writer| {
        writer.nested(CTA_TUPLE_ORIG, |writer| writer.raw(found.original));
        writer.attribute(CTA_ID, found.id);
    });
}

/// Whether a flow should have passed a filter.
pub(super) fn passes(filter: FlowFilter, flow: &Flow) -> bool {
    filter.protocol == flow.protocol
        && filter
            .port
            .is_none_or(|port| port.get() == flow.destination.port())
}

impl<'a> Found<'a> {
    /// Reads a flow. None if it is of no interest: of another protocol, or in a zone. Zones keep networks
    /// apart that use the same addresses; what is in one is not ours.
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let (mut original, mut reply, mut status, mut id) = (None, None, None, None);
        for attribute in attributes(message) {
            match attribute.kind {
                CTA_TUPLE_ORIG => original = Some(attribute.value),
                CTA_TUPLE_REPLY => reply = Some(attribute.value),
                CTA_STATUS => status = number(attribute.value),
                CTA_ID => id = Some(attribute.value),
                CTA_ZONE => return None,
                _ => {}
            }
        }
        let original = original?;
        let (protocol, destination) = end(original, End::Destination)?;
        let (_, answered_from) = end(reply?, End::Source)?;
        Some(Self {
            flow: Flow {
                protocol,
                destination,
                answered_from,
                translated: status? & IPS_DST_NAT != 0,
            },
            original,
            id: id?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Source,
    Destination,
}

/// One end of a tuple.
fn end(tuple: &[u8], end: End) -> Option<(Protocol, SocketAddr)> {
    if find(tuple, CTA_TUPLE_ZONE).is_some() {
        return None;
    }
    let (v4, v6, port) = match end {
        End::Source => (CTA_IP_V4_SRC, CTA_IP_V6_SRC, CTA_PROTO_SRC_PORT),
        End::Destination => (CTA_IP_V4_DST, CTA_IP_V6_DST, CTA_PROTO_DST_PORT),
    };
    let addresses = find(tuple, CTA_TUPLE_IP)?;
    let address = match find(addresses, v4) {
        Some(address) => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        None => IpAddr::from(<[u8; 16]>::try_from(find(addresses, v6)?).ok()?),
    };
    let transport = find(tuple, CTA_TUPLE_PROTO)?;
    let protocol = match find(transport, CTA_PROTO_NUM)? {
        [6] => Protocol::Tcp,
        [17] => Protocol::Udp,
        [132] => Protocol::Sctp,
        _ => return None,
    };
    let port = u16::from_be_bytes(find(transport, port)?.try_into().ok()?);
    Some((protocol, SocketAddr::new(address, port)))
}
