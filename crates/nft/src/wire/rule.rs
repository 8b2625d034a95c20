//! Rules, and what fairway stores with them.

use fairway_plan::{Family, Rule, TABLE};

use super::constants::{
    NFT_MSG_DELRULE, NFT_MSG_NEWRULE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_TABLE,
    NFTA_RULE_USERDATA, NLM_F_APPEND, NLM_F_CREATE, family_number,
};
use super::reader;
use super::statement::{self, ForeignNetwork};
use super::writer::Writer;
use crate::text;

/// Rule user data is a list of type, length (a byte each) and value. nft prints type 0 as the
/// rule's comment.
const COMMENT: u8 = 0;

/// Ours; nft steps over types that it does not know, in 1.0.6 as today (`parse_rule_udata_cb`), so
/// that `nft list` shows people the comment alone. Who replaces a rule by hand loses it, which is
/// just what tells that the rule is no longer ours.
const FINGERPRINT: u8 = 0xf0;

/// Appends a rule to a chain.
pub(crate) fn append(
    writer: &mut Writer,
    sequence: u32,
    family: Family,
    chain: &str,
    rule: &Rule,
) -> Result<(), ForeignNetwork> {
    let flags = NLM_F_CREATE | NLM_F_APPEND;
    let mut result = Ok(());
    writer.message(
        NFT_MSG_NEWRULE,
        flags,
        sequence,
        family_number(family),
        |writer| {
            writer.string(NFTA_RULE_TABLE, TABLE);
            writer.string(NFTA_RULE_CHAIN, chain);
            result = writer.nested(NFTA_RULE_EXPRESSIONS, |writer| {
                rule.statements
                    .iter()
                    .try_for_each(|it| statement::statement(writer, family, it))
            });
            writer.attribute(NFTA_RULE_USERDATA, &user_data(rule));
        },
    );
    result
}

/// Removes every rule of a chain.
pub(crate) fn clear(writer: &mut Writer, sequence: u32, family: Family, chain: &str) {
    writer.message(
        NFT_MSG_DELRULE,
        0,
        sequence,
        family_number(family),
        |writer| {
            writer.string(NFTA_RULE_TABLE, TABLE);
            writer.string(NFTA_RULE_CHAIN, chain);
        },
    );
}

fn user_data(rule: &Rule) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    let comment = text::comment(rule);
    if !comment.is_empty() {
        let length = u8::try_from(comment.len() + 1).expect("comments are cut at 127 bytes");
        out.extend_from_slice(&[COMMENT, length]);
        out.extend_from_slice(comment.as_bytes());
        out.push(0);
    }
    out.extend_from_slice(&[FINGERPRINT, 8]);
    out.extend_from_slice(&rule.fingerprint().to_be_bytes());
    out
}

/// The fingerprint stored with the rule described by these attributes; None for rules of others.
pub(crate) fn fingerprint(attributes: &[u8]) -> Option<u64> {
    let mut rest = reader::find(attributes, NFTA_RULE_USERDATA)?;
    while let [kind, length, tail @ ..] = rest {
        let (value, next) = tail.split_at_checked(usize::from(*length))?;
        if *kind == FINGERPRINT {
            return value.try_into().ok().map(u64::from_be_bytes);
        }
        rest = next;
    }
    None
}
