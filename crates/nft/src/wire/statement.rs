//! Statements as the kernel's expressions, as nft 1.0.6 translates them, so that `nft list` prints the statement
//! again.

use fairway_model::Protocol;
use fairway_plan::{Family, Selector, SetName, Statement};
use ipnet::IpNet;

use super::constants::{NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN, NFTA_VERDICT_CODE, family_number};
use super::expression::{
    Comparison, FIRST, META_L4_PROTOCOL, TRANSPORT_HEADER, bitwise, compare, expression, load,
    load_fields, load_key, load_meta, load_payload, look_up, registers,
};
use super::writer::Writer;

/// The verdict register.
const VERDICT: u32 = 0;

const META_MARK: u32 = 3;
const META_INPUT_INTERFACE_NAME: u32 = 6;

/// `IFNAMSIZ`
const INTERFACE_NAME_LENGTH: usize = 16;

const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
/// `ct state invalid`, nf_conntrack's `NF_CT_STATE_INVALID_BIT`.
const CT_STATE_INVALID: u32 = 1;
/// `ct state new`, nf_conntrack's `NF_CT_STATE_BIT(IP_CT_NEW)`.
const CT_STATE_NEW: u32 = 8;
/// `ct state established`, nf_conntrack's `NF_CT_STATE_BIT(IP_CT_ESTABLISHED)`.
const CT_STATE_ESTABLISHED: u32 = 2;
/// `ct status dnat`, `IPS_DST_NAT`.
const CT_STATUS_DNAT: u32 = 0x20;

const DYNSET_UPDATE: u32 = 1;
const DYNSET_DELETE: u32 = 2;

const FIB_RESULT_ADDRESS_TYPE: u32 = 3;
const FIB_SOURCE_ADDRESS: u32 = 1;
const FIB_DESTINATION_ADDRESS: u32 = 2;

/// `RTN_LOCAL`.
const ADDRESS_TYPE_LOCAL: u32 = 2;

const NAT_DESTINATION: u32 = 1;
/// `NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED`.
const NAT_ADDRESS_AND_PORT: u32 = 3;
/// `NF_NAT_RANGE_PROTO_RANDOM_FULLY`.
const NAT_FULLY_RANDOM: u32 = 0x10;

const REJECT_ICMP_UNREACHABLE: u32 = 0;
const REJECT_TCP_RESET: u32 = 1;

/// IANA's protocol number.
const TCP: u8 = 6;
/// The byte of a TCP header that has its flags, and which they are.
const TCP_FLAGS: u32 = 13;
const TCP_SYN: u8 = 0x02;
const TCP_RST: u8 = 0x04;

const VERDICT_DROP: i32 = 0;
const VERDICT_JUMP: i32 = -3;
const VERDICT_GOTO: i32 = -4;
const VERDICT_RETURN: i32 = -5;

/// A network that is not of the table's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForeignNetwork(pub(crate) IpNet);

/// Writes the expressions of a statement.
pub(crate) fn statement(
    writer: &mut Writer,
    family: Family,
    statement: &Statement,
) -> Result<(), ForeignNetwork> {
    match statement {
        Statement::SourceIn { network, negated } => {
            address_in(writer, family, Selector::SourceAddress, *network, *negated)?;
        }
        Statement::DestinationIn { network, negated } => {
            address_in(
                writer,
                family,
                Selector::DestinationAddress,
                *network,
                *negated,
            )?;
        }
        Statement::DestinationIsLocal => address_is_local(writer, FIB_DESTINATION_ADDRESS),
        Statement::SourceIsLocal => address_is_local(writer, FIB_SOURCE_ADDRESS),
        Statement::InterfaceIs {
            name,
            prefix,
            negated,
        } => {
            load_meta(writer, FIRST, META_INPUT_INTERFACE_NAME);
            let mut value = name.as_bytes().to_vec();
            if !prefix {
                value.resize(INTERFACE_NAME_LENGTH, 0);
            }
            compare(writer, Comparison::of(*negated), &value);
        }
        Statement::InSet { key, set } => {
            load_key(writer, family, key);
            look_up(writer, *set, None);
        }
        Statement::ConnectionIsNew => connection_has(writer, CT_STATE, CT_STATE_NEW),
        Statement::ConnectionIsInvalid => connection_has(writer, CT_STATE, CT_STATE_INVALID),
        Statement::IsTcpReset => tcp_flag(writer, TCP_RST, Comparison::NotEqual),
        Statement::IsMidConnection => tcp_flag(writer, TCP_SYN, Comparison::Equal),
        Statement::ConnectionIsTranslated => connection_is_translated(writer),
        Statement::MarkHas(bits) => {
            load_meta(writer, FIRST, META_MARK);
            bitwise(writer, &bits.to_ne_bytes(), &[0; 4]);
            compare(writer, Comparison::Equal, &bits.to_ne_bytes());
        }
        Statement::SetMark(bits) => write_mark(writer, !bits, *bits),
        Statement::ClearMark(bits) => write_mark(writer, !bits, 0),
        Statement::Translate { key, map } => {
            load_key(writer, family, key);
            look_up(writer, *map, Some(FIRST));
            translate(writer, family);
        }
        Statement::ProtocolIs(protocol) => {
            protocol_is(writer, *protocol);
            load(writer, family, Selector::DestinationPort, FIRST, None);
            compare(writer, Comparison::NotEqual, &[0; 2]);
        }
        Statement::Remember { key, value, map } => {
            change_map(writer, family, DYNSET_UPDATE, key, value, *map);
        }
        Statement::Forget { key, value, map } => {
            change_map(writer, family, DYNSET_DELETE, key, value, *map);
        }
        Statement::Masquerade => {
            expression(writer, "masq", |writer| writer.u32(1, NAT_FULLY_RANDOM));
        }
        Statement::Reset => {
            // nft says nothing of this condition: it belongs to the statement.
            load_meta(writer, FIRST, META_L4_PROTOCOL);
            compare(writer, Comparison::Equal, &[TCP]);
            expression(writer, "reject", |writer| writer.u32(1, REJECT_TCP_RESET));
        }
        Statement::Reject => expression(writer, "reject", |writer| {
            writer.u32(1, REJECT_ICMP_UNREACHABLE);
            // "Port unreachable" in ICMP and in ICMPv6.
            let code = match family {
                Family::Ip4 => 3,
                Family::Ip6 => 4,
            };
            writer.attribute(2, &[code]);
        }),
        Statement::Drop => verdict(writer, VERDICT_DROP, None),
        Statement::Return => verdict(writer, VERDICT_RETURN, None),
        Statement::Jump(chain) => verdict(writer, VERDICT_JUMP, Some(chain)),
        Statement::Goto(chain) => verdict(writer, VERDICT_GOTO, Some(chain)),
    }
    Ok(())
}

/// The kernel modules that a statement needs beyond nf_tables itself.
pub(crate) fn module(family: Family, statement: &Statement) -> Option<&'static str> {
    let by_family = |ip4, ip6| match family {
        Family::Ip4 => ip4,
        Family::Ip6 => ip6,
    };
    match statement {
        Statement::DestinationIsLocal | Statement::SourceIsLocal => {
            Some(by_family("nft_fib_ipv4", "nft_fib_ipv6"))
        }
        Statement::ConnectionIsNew
        | Statement::ConnectionIsInvalid
        | Statement::ConnectionIsTranslated => Some("nft_ct"),
        Statement::Translate { key, .. } => Some(match key.last() {
            Some(Selector::RandomSlot(_)) => "nft_nat, nft_numgen",
            Some(Selector::ClientSlot(_) | Selector::ConnectionSlot(_)) => "nft_nat, nft_hash",
            _ => "nft_nat",
        }),
        Statement::Remember { .. } | Statement::Forget { .. } => Some("nft_ct"),
        Statement::Masquerade => Some("nft_masq"),
        Statement::Reset | Statement::Reject => {
            Some(by_family("nft_reject_ipv4", "nft_reject_ipv6"))
        }
        _ => None,
    }
}

/// `meta l4proto`.
pub(super) fn protocol_is(writer: &mut Writer, protocol: Protocol) {
    load_meta(writer, FIRST, META_L4_PROTOCOL);
    compare(writer, Comparison::Equal, &[protocol.number()]);
}

/// `ct state established`.
pub(super) fn connection_is_established(writer: &mut Writer) {
    connection_has(writer, CT_STATE, CT_STATE_ESTABLISHED);
}

/// `ct status dnat`.
pub(super) fn connection_is_translated(writer: &mut Writer) {
    connection_has(writer, CT_STATUS, CT_STATUS_DNAT);
}

/// `flow add @NAME`.
pub(super) fn offload(writer: &mut Writer, flow_table: &str) {
    expression(writer, "flow_offload", |writer| {
        writer.string(1, flow_table)
    });
}

fn address_in(
    writer: &mut Writer,
    family: Family,
    selector: Selector,
    network: IpNet,
    negated: bool,
) -> Result<(), ForeignNetwork> {
    if Family::of(network.addr()) != family {
        return Err(ForeignNetwork(network));
    }
    let comparison = Comparison::of(negated);
    let (address, mask) = match network.trunc() {
        IpNet::V4(network) => (
            network.addr().octets().to_vec(),
            network.netmask().octets().to_vec(),
        ),
        IpNet::V6(network) => (
            network.addr().octets().to_vec(),
            network.netmask().octets().to_vec(),
        ),
    };
    let (whole_bytes, rest) = (network.prefix_len() / 8, network.prefix_len() % 8);
    if rest == 0 && whole_bytes > 0 {
        // nft compares a prefix of whole bytes by loading just those.
        load(
            writer,
            family,
            selector,
            FIRST,
            Some(u32::from(whole_bytes)),
        );
        compare(writer, comparison, &address[..usize::from(whole_bytes)]);
    } else {
        load(writer, family, selector, FIRST, None);
        bitwise(writer, &mask, &vec![0; mask.len()]);
        compare(writer, comparison, &address);
    }
    Ok(())
}

fn address_is_local(writer: &mut Writer, which: u32) {
    expression(writer, "fib", |writer| {
        writer.u32(1, FIRST);
        writer.u32(2, FIB_RESULT_ADDRESS_TYPE);
        writer.u32(3, which);
    });
    compare(writer, Comparison::Equal, &ADDRESS_TYPE_LOCAL.to_ne_bytes());
}

fn write_mark(writer: &mut Writer, mask: u32, xor: u32) {
    load_meta(writer, FIRST, META_MARK);
    bitwise(writer, &mask.to_ne_bytes(), &xor.to_ne_bytes());
    expression(writer, "meta", |writer| {
        writer.u32(2, META_MARK);
        writer.u32(3, FIRST);
    });
}

/// Whether the connection has one of these bits.
fn connection_has(writer: &mut Writer, key: u32, bits: u32) {
    expression(writer, "ct", |writer| {
        writer.u32(1, FIRST);
        writer.u32(2, key);
    });
    bitwise(writer, &bits.to_ne_bytes(), &[0; 4]);
    compare(writer, Comparison::NotEqual, &[0; 4]);
}

/// How a flag of a TCP packet compares with one that is not set.
fn tcp_flag(writer: &mut Writer, flag: u8, comparison: Comparison) {
    load_meta(writer, FIRST, META_L4_PROTOCOL);
    compare(writer, Comparison::Equal, &[TCP]);
    load_payload(writer, FIRST, TRANSPORT_HEADER, TCP_FLAGS, 1);
    bitwise(writer, &[flag], &[0]);
    compare(writer, comparison, &[0]);
}

/// Key and value follow one another in the registers: 15 of the 16 for IPv6.
fn change_map(
    writer: &mut Writer,
    family: Family,
    operation: u32,
    key: &[Selector],
    value: &[Selector],
    map: SetName,
) {
    let value_register = load_fields(writer, family, key, FIRST);
    load_fields(writer, family, value, value_register);
    expression(writer, "dynset", |writer| {
        writer.string(1, &map.to_string());
        writer.u32(3, operation);
        writer.u32(4, FIRST);
        writer.u32(5, value_register);
    });
}

/// Address and port are in the registers as the map's value has them.
fn translate(writer: &mut Writer, family: Family) {
    let port = FIRST + registers(Selector::DestinationAddress, family);
    expression(writer, "nat", |writer| {
        writer.u32(1, NAT_DESTINATION);
        writer.u32(2, u32::from(family_number(family)));
        writer.u32(3, FIRST);
        writer.u32(4, FIRST);
        writer.u32(5, port);
        writer.u32(6, port);
        writer.u32(7, NAT_ADDRESS_AND_PORT);
    });
}

fn verdict(writer: &mut Writer, code: i32, chain: Option<&str>) {
    expression(writer, "immediate", |writer| {
        writer.u32(1, VERDICT);
        writer.nested(2, |writer| {
            writer.nested(NFTA_DATA_VERDICT, |writer| {
                writer.attribute(NFTA_VERDICT_CODE, &code.to_be_bytes());
                if let Some(chain) = chain {
                    writer.string(NFTA_VERDICT_CHAIN, chain);
                }
            });
        });
    });
}
