//! Tables and chains.

use fairway_plan::{Family, Hook, HookKind, HookPoint, TABLE};

use super::constants::{
    HOOKS, NF_ACCEPT, NFT_MSG_DELCHAIN, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWTABLE,
    NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE, NFTA_CHAIN_TYPE,
    NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY, NFTA_TABLE_NAME, NLM_F_CREATE, chain_type,
    family_number, hook_number,
};
use super::reader;
use super::writer::Writer;

/// Where a base chain stands that somebody attached in a way that [`Hook`] has no words for, such
/// as `policy drop` or `type route`. The kernel refuses this priority for chains of ours, so it
/// differs from every hook that is ever wanted, and the planner puts the chain right.
const ELSEWHERE: Hook = Hook {
    kind: HookKind::Filter,
    point: HookPoint::Input,
    priority: i32::MIN,
};

pub(crate) fn create_table(writer: &mut Writer, sequence: u32, family: Family) {
    let family = family_number(family);
    writer.message(NFT_MSG_NEWTABLE, NLM_F_CREATE, sequence, family, |writer| {
        writer.string(NFTA_TABLE_NAME, TABLE);
    });
}

pub(crate) fn delete_table(writer: &mut Writer, sequence: u32, family: Family) {
    writer.message(
        NFT_MSG_DELTABLE,
        0,
        sequence,
        family_number(family),
        |writer| {
            writer.string(NFTA_TABLE_NAME, TABLE);
        },
    );
}

pub(crate) fn create(
    writer: &mut Writer,
    sequence: u32,
    family: Family,
    name: &str,
    hook: Option<Hook>,
) {
    let family = family_number(family);
    writer.message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, sequence, family, |writer| {
        writer.string(NFTA_CHAIN_TABLE, TABLE);
        writer.string(NFTA_CHAIN_NAME, name);
        if let Some(hook) = hook {
            writer.nested(NFTA_CHAIN_HOOK, |writer| {
                writer.u32(NFTA_HOOK_HOOKNUM, hook_number(hook.point));
                writer.attribute(NFTA_HOOK_PRIORITY, &hook.priority.to_be_bytes());
            });
            writer.u32(NFTA_CHAIN_POLICY, NF_ACCEPT);
            writer.string(NFTA_CHAIN_TYPE, chain_type(hook.kind));
        }
    });
}

pub(crate) fn delete(writer: &mut Writer, sequence: u32, family: Family, name: &str) {
    writer.message(
        NFT_MSG_DELCHAIN,
        0,
        sequence,
        family_number(family),
        |writer| {
            writer.string(NFTA_CHAIN_TABLE, TABLE);
            writer.string(NFTA_CHAIN_NAME, name);
        },
    );
}

/// Where the chain described by these attributes is attached.
pub(crate) fn hook(attributes: &[u8]) -> Option<Hook> {
    let hook = reader::find(attributes, NFTA_CHAIN_HOOK)?;
    let known = || {
        let number = reader::find(hook, NFTA_HOOK_HOOKNUM).and_then(reader::number)?;
        let kind = reader::find(attributes, NFTA_CHAIN_TYPE).and_then(reader::text)?;
        let priority = reader::find(hook, NFTA_HOOK_PRIORITY)?;
        let policy = reader::find(attributes, NFTA_CHAIN_POLICY).and_then(reader::number)?;
        (policy == NF_ACCEPT).then_some(())?;
        Some(Hook {
            kind: [HookKind::Nat, HookKind::Filter]
                .into_iter()
                .find(|known| chain_type(*known) == kind)?,
            point: *HOOKS.get(number as usize)?,
            priority: i32::from_be_bytes(priority.try_into().ok()?),
        })
    };
    Some(known().unwrap_or(ELSEWHERE))
}
