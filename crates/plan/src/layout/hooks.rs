//! Where packets come in from the kernel, and go on from there.

use std::collections::BTreeSet;

use crate::{Chain, Hook, HookKind, HookPoint, Options, Rule, SetName, Statement};

use super::affinity::remembering_rule;
use super::count::counting_rule;
use super::stray::stray_rule;
use super::{REFUSE, REFUSE_CLUSTER_IP, SERVICES, STRAY, STRAY_OUTGOING, chain, in_set, rule};

/// Runs before other people's source translation at `srcnat` (100), so that which of the two comes
/// first does not depend on the order in which the programs were started.
const POSTROUTING_PRIORITY: i32 = 90;
const DSTNAT_PRIORITY: i32 = -100;
/// Runs while the packet still has the destination that its sender gave it.
pub(super) const SOURCE_RANGES_PRIORITY: i32 = DSTNAT_PRIORITY - 10;
const FILTER_PRIORITY: i32 = 0;

/// The chains that the kernel calls, but for those of source ranges.
pub(super) fn hook_chains(options: &Options, sets: &BTreeSet<SetName>) -> Vec<Chain> {
    let nat = |point, priority| hook(HookKind::Nat, point, priority);
    let filter = |point| hook(HookKind::Filter, point, FILTER_PRIORITY);
    let to_services = || vec![rule("", [Statement::Jump(SERVICES)])];
    let filter_rules = |chains: &[&'static str], stray| -> Vec<Rule> {
        let remember = remembering_rule(sets).into_iter();
        let refuse = chains.iter().copied().map(new_to);
        let stray = options.drop_stray.then(|| stray_rule(stray));
        remember.chain(refuse).chain(stray).collect()
    };
    let count = counting_rule(sets);

    let mut chains = vec![
        chain(
            "nat-prerouting",
            nat(HookPoint::Prerouting, DSTNAT_PRIORITY),
            to_services(),
        ),
        chain(
            "nat-output",
            nat(HookPoint::Output, DSTNAT_PRIORITY),
            to_services(),
        ),
        chain(
            "nat-postrouting",
            nat(HookPoint::Postrouting, POSTROUTING_PRIORITY),
            count
                .clone()
                .into_iter()
                .chain(masquerade_rules(options))
                .collect(),
        ),
        chain(
            "filter-input",
            filter(HookPoint::Input),
            filter_rules(&[REFUSE], STRAY),
        ),
        chain(
            "filter-forward",
            filter(HookPoint::Forward),
            filter_rules(&[REFUSE, REFUSE_CLUSTER_IP], STRAY_OUTGOING),
        ),
        chain(
            "filter-output",
            filter(HookPoint::Output),
            filter_rules(&[REFUSE, REFUSE_CLUSTER_IP], STRAY_OUTGOING),
        ),
    ];
    chains.extend(count.map(|rule| {
        let input = nat(HookPoint::Input, POSTROUTING_PRIORITY);
        chain("nat-input", input, vec![rule])
    }));
    chains
}

fn new_to(chain: &'static str) -> Rule {
    rule("", [Statement::ConnectionIsNew, Statement::Jump(chain)])
}

/// The mark is cleared so that a tunnel's outer packet, which inherits it, is left alone.
fn masquerade_rules(options: &Options) -> Vec<Rule> {
    vec![
        rule(
            "marked above",
            [
                Statement::MarkHas(options.mark),
                Statement::ClearMark(options.mark),
                Statement::Masquerade,
            ],
        ),
        rule(
            "a pod that reached itself",
            [
                Statement::ConnectionIsTranslated,
                in_set(SetName::Hairpin),
                Statement::Masquerade,
            ],
        ),
    ]
}

pub(super) fn hook(kind: HookKind, point: HookPoint, priority: i32) -> Option<Hook> {
    Some(Hook {
        kind,
        point,
        priority,
    })
}
