//! Numbers of the kernel's interface, by the names they have in `linux/netlink.h`,
//! `linux/netfilter/nfnetlink.h` and `linux/netfilter/nf_tables.h`.

#![allow(missing_docs, reason = "the kernel's own names")]

use fairway_plan::{Family, HookKind, HookPoint};

/// Bytes of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
/// Bytes of `struct nlmsghdr` and the `struct nfgenmsg` that follows it in every netfilter message.
pub(crate) const NETFILTER_HEADER: usize = HEADER + 4;

pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_DUMP_INTR: u16 = 0x10;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_APPEND: u16 = 0x800;
/// On an answer: the request is echoed without its payload.
pub(crate) const NLM_F_CAPPED: u16 = 0x100;
/// On an answer: attributes follow the echoed request.
pub(crate) const NLM_F_ACK_TLVS: u16 = 0x200;

pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
pub(crate) const NLMSGERR_ATTR_MSG: u16 = 1;
pub(crate) const NLMSGERR_ATTR_OFFS: u16 = 2;

pub(crate) const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
pub(crate) const NFNL_MSG_BATCH_END: u16 = 0x11;
pub(crate) const NFNL_SUBSYS_NFTABLES: u16 = 10;
/// The multicast group that hears of every change of nf_tables.
pub(crate) const NFNLGRP_NFTABLES: u32 = 7;

/// Adds the subsystem to a message type.
const fn nft(message: u16) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | message
}

pub(crate) const NFT_MSG_NEWTABLE: u16 = nft(0);
pub(crate) const NFT_MSG_GETTABLE: u16 = nft(1);
pub(crate) const NFT_MSG_DELTABLE: u16 = nft(2);
pub(crate) const NFT_MSG_NEWCHAIN: u16 = nft(3);
pub(crate) const NFT_MSG_GETCHAIN: u16 = nft(4);
pub(crate) const NFT_MSG_DELCHAIN: u16 = nft(5);
pub(crate) const NFT_MSG_NEWRULE: u16 = nft(6);
pub(crate) const NFT_MSG_GETRULE: u16 = nft(7);
pub(crate) const NFT_MSG_DELRULE: u16 = nft(8);
pub(crate) const NFT_MSG_NEWSET: u16 = nft(9);
pub(crate) const NFT_MSG_GETSET: u16 = nft(10);
pub(crate) const NFT_MSG_DELSET: u16 = nft(11);
pub(crate) const NFT_MSG_NEWSETELEM: u16 = nft(12);
pub(crate) const NFT_MSG_GETSETELEM: u16 = nft(13);
pub(crate) const NFT_MSG_DELSETELEM: u16 = nft(14);
pub(crate) const NFT_MSG_NEWGEN: u16 = nft(15);
pub(crate) const NFT_MSG_GETGEN: u16 = nft(16);
pub(crate) const NFT_MSG_NEWFLOWTABLE: u16 = nft(22);

pub(crate) const NFTA_GEN_ID: u16 = 1;

/// Attribute 1 names the table in every message about something inside a table.
pub(crate) const NFTA_TABLE_NAME: u16 = 1;

pub(crate) const NFTA_CHAIN_TABLE: u16 = 1;
pub(crate) const NFTA_CHAIN_NAME: u16 = 3;
pub(crate) const NFTA_CHAIN_HOOK: u16 = 4;
pub(crate) const NFTA_CHAIN_POLICY: u16 = 5;
pub(crate) const NFTA_CHAIN_TYPE: u16 = 7;
pub(crate) const NFTA_HOOK_HOOKNUM: u16 = 1;
pub(crate) const NFTA_HOOK_PRIORITY: u16 = 2;
pub(crate) const NF_ACCEPT: u32 = 1;

pub(crate) const NFPROTO_INET: u8 = 1;
pub(crate) const NFTA_FLOWTABLE_TABLE: u16 = 1;
pub(crate) const NFTA_FLOWTABLE_NAME: u16 = 2;
pub(crate) const NFTA_FLOWTABLE_HOOK: u16 = 3;
pub(crate) const NFTA_FLOWTABLE_HOOK_NUM: u16 = 1;
pub(crate) const NFTA_FLOWTABLE_HOOK_PRIORITY: u16 = 2;
pub(crate) const NFTA_FLOWTABLE_HOOK_DEVS: u16 = 3;
pub(crate) const NFTA_DEVICE_NAME: u16 = 1;
pub(crate) const NF_NETDEV_INGRESS: u32 = 0;

pub(crate) const NFTA_RULE_TABLE: u16 = 1;
pub(crate) const NFTA_RULE_CHAIN: u16 = 2;
pub(crate) const NFTA_RULE_HANDLE: u16 = 3;
pub(crate) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(crate) const NFTA_RULE_USERDATA: u16 = 7;
pub(crate) const NFTA_LIST_ELEM: u16 = 1;
pub(crate) const NFTA_EXPR_NAME: u16 = 1;
pub(crate) const NFTA_EXPR_DATA: u16 = 2;
pub(crate) const NFTA_IMMEDIATE_DATA: u16 = 2;

pub(crate) const NFTA_SET_TABLE: u16 = 1;
pub(crate) const NFTA_SET_NAME: u16 = 2;
pub(crate) const NFTA_SET_FLAGS: u16 = 3;
pub(crate) const NFTA_SET_KEY_TYPE: u16 = 4;
pub(crate) const NFTA_SET_KEY_LEN: u16 = 5;
pub(crate) const NFTA_SET_DATA_TYPE: u16 = 6;
pub(crate) const NFTA_SET_DATA_LEN: u16 = 7;
pub(crate) const NFTA_SET_DESC: u16 = 9;
pub(crate) const NFTA_SET_DESC_SIZE: u16 = 1;
pub(crate) const NFTA_SET_DESC_CONCAT: u16 = 2;
pub(crate) const NFTA_SET_FIELD_LEN: u16 = 1;
pub(crate) const NFTA_SET_ID: u16 = 10;
pub(crate) const NFTA_SET_TIMEOUT: u16 = 11;
pub(crate) const NFTA_SET_USERDATA: u16 = 13;
pub(crate) const NFTA_SET_EXPR: u16 = 17;
pub(crate) const NFTA_SET_EXPRESSIONS: u16 = 18;
pub(crate) const NFT_SET_INTERVAL: u32 = 0x4;
pub(crate) const NFT_SET_MAP: u32 = 0x8;
pub(crate) const NFT_SET_TIMEOUT: u32 = 0x10;
pub(crate) const NFT_SET_EVAL: u32 = 0x20;
pub(crate) const NFT_SET_CONCAT: u32 = 0x80;

pub(crate) const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
pub(crate) const NFTA_SET_ELEM_LIST_SET: u16 = 2;
pub(crate) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
pub(crate) const NFTA_SET_ELEM_KEY: u16 = 1;
pub(crate) const NFTA_SET_ELEM_DATA: u16 = 2;
pub(crate) const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
pub(crate) const NFTA_SET_ELEM_EXPIRATION: u16 = 5;
pub(crate) const NFTA_SET_ELEM_USERDATA: u16 = 6;
pub(crate) const NFTA_SET_ELEM_EXPR: u16 = 7;
pub(crate) const NFTA_SET_ELEM_PAD: u16 = 8;
pub(crate) const NFTA_SET_ELEM_KEY_END: u16 = 10;

pub(crate) const NFTA_COUNTER_PACKETS: u16 = 2;

pub(crate) const NFTA_DATA_VALUE: u16 = 1;
pub(crate) const NFTA_DATA_VERDICT: u16 = 2;
pub(crate) const NFTA_VERDICT_CODE: u16 = 1;
pub(crate) const NFTA_VERDICT_CHAIN: u16 = 2;

/// The kernel's number of a family.
pub(crate) fn family_number(family: Family) -> u8 {
    match family {
        Family::Ip4 => 2,
        Family::Ip6 => 10,
    }
}

/// The family of a kernel number; None for families that fairway has no table in.
pub(crate) fn family_of(number: u8) -> Option<Family> {
    Family::ALL
        .into_iter()
        .find(|family| family_number(*family) == number)
}

/// Hooks by their kernel number.
pub(crate) const HOOKS: [HookPoint; 5] = [
    HookPoint::Prerouting,
    HookPoint::Input,
    HookPoint::Forward,
    HookPoint::Output,
    HookPoint::Postrouting,
];

/// The kernel's number of a hook.
pub(crate) fn hook_number(point: HookPoint) -> u32 {
    match point {
        HookPoint::Prerouting => 0,
        HookPoint::Input => 1,
        HookPoint::Forward => 2,
        HookPoint::Output => 3,
        HookPoint::Postrouting => 4,
    }
}

/// The kernel's name of a chain type.
pub(crate) fn chain_type(kind: HookKind) -> &'static str {
    match kind {
        HookKind::Nat => "nat",
        HookKind::Filter => "filter",
    }
}

/// Every family.
pub(crate) const NFPROTO_UNSPEC: u8 = 0;
