//! The table of the flow table: the flows that pass this node without its chains.

use fairway_model::Protocol;
use fairway_plan::{Hook, HookKind, HookPoint};

use super::constants::{
    NF_ACCEPT, NF_NETDEV_INGRESS, NFPROTO_INET, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWFLOWTABLE, NFT_MSG_NEWRULE, NFT_MSG_NEWTABLE, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME,
    NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE, NFTA_CHAIN_TYPE, NFTA_DEVICE_NAME, NFTA_FLOWTABLE_HOOK,
    NFTA_FLOWTABLE_HOOK_DEVS, NFTA_FLOWTABLE_HOOK_NUM, NFTA_FLOWTABLE_HOOK_PRIORITY,
    NFTA_FLOWTABLE_NAME, NFTA_FLOWTABLE_TABLE, NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY,
    NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_TABLE, NFTA_TABLE_NAME, NLM_F_ACK,
    NLM_F_APPEND, NLM_F_CREATE, chain_type, hook_number,
};
use super::statement;
use super::writer::Writer;

/// A table of its own, so that a kernel or an interface that does not allow it never stands in the way
/// of Services. One for both families: a flow table takes either.
pub(crate) const TABLE: &str = "fairway-flows";
pub(crate) const FLOW_TABLE: &str = "services";
pub(crate) const CHAIN: &str = "established";

/// Where the chain stands: behind everybody's filters at 0, so that what one of them drops does not
/// get past it.
pub(crate) const HOOK: Hook = Hook {
    kind: HookKind::Filter,
    point: HookPoint::Forward,
    priority: 10,
};

/// Writes the messages that replace the table, if it is there, by one for these interfaces; without
/// interfaces, those that remove it. Each asks for an answer and has the number of the one before plus
/// 1, the first `sequence` plus 1. Returns what each is about, for people.
pub(crate) fn replace(
    writer: &mut Writer,
    sequence: u32,
    interfaces: &[String],
) -> Vec<&'static str> {
    let mut steps = Vec::new();
    let mut message = |kind, flags, what, body: &mut dyn FnMut(&mut Writer)| {
        steps.push(what);
        let number = u32::try_from(steps.len()).expect("six at most");
        let sequence = sequence.wrapping_add(number);
        writer.message(kind, flags | NLM_F_ACK, sequence, NFPROTO_INET, body);
    };
    let mut table = |writer: &mut Writer| writer.string(NFTA_TABLE_NAME, TABLE);
    let what = "the table";
    message(NFT_MSG_NEWTABLE, NLM_F_CREATE, what, &mut table);
    message(NFT_MSG_DELTABLE, 0, what, &mut table);
    if interfaces.is_empty() {
        return steps;
    }
    message(NFT_MSG_NEWTABLE, NLM_F_CREATE, what, &mut table);
    message(
        NFT_MSG_NEWFLOWTABLE,
        NLM_F_CREATE,
        "the flow table",
        &mut |writer| flow_table(writer, interfaces),
    );
    message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, "the chain", &mut chain);
    let flags = NLM_F_CREATE | NLM_F_APPEND;
    message(NFT_MSG_NEWRULE, flags, "the rule", &mut rule);
    steps
}

fn flow_table(writer: &mut Writer, interfaces: &[String]) {
    writer.string(NFTA_FLOWTABLE_TABLE, TABLE);
    writer.string(NFTA_FLOWTABLE_NAME, FLOW_TABLE);
    writer.nested(NFTA_FLOWTABLE_HOOK, |writer| {
        writer.u32(NFTA_FLOWTABLE_HOOK_NUM, NF_NETDEV_INGRESS);
        writer.u32(NFTA_FLOWTABLE_HOOK_PRIORITY, 0);
        writer.nested(NFTA_FLOWTABLE_HOOK_DEVS, |writer| {
            for interface in interfaces {
                writer.string(NFTA_DEVICE_NAME, interface);
            }
        });
    });
}

fn chain(writer: &mut Writer) {
    writer.string(NFTA_CHAIN_TABLE, TABLE);
    writer.string(NFTA_CHAIN_NAME, CHAIN);
    writer.nested(NFTA_CHAIN_HOOK, |writer| {
        writer.u32(NFTA_HOOK_HOOKNUM, hook_number(HOOK.point));
        writer.attribute(NFTA_HOOK_PRIORITY, &HOOK.priority.to_be_bytes());
    });
    writer.u32(NFTA_CHAIN_POLICY, NF_ACCEPT);
    writer.string(NFTA_CHAIN_TYPE, chain_type(HOOK.kind));
}

/// TCP alone: conntrack does not let go of a flow that is in a flow table, and where a UDP flow leads
/// to an endpoint that is gone, fairway has to make it.
fn rule(writer: &mut Writer) {
    writer.string(NFTA_RULE_TABLE, TABLE);
    writer.string(NFTA_RULE_CHAIN, CHAIN);
    writer.nested(NFTA_RULE_EXPRESSIONS, |writer| {
        statement::protocol_is(writer, Protocol::Tcp);
        statement::connection_is_established(writer);
        statement::connection_is_translated(writer);
        statement::offload(writer, FLOW_TABLE);
    });
}
