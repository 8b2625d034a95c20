//! The kernel's complaints in words that tell what to check.

use fairway_plan::{Change, Family, TABLE};

use crate::error::{Errno, Error};
use crate::wire::reader::Answer;
use crate::wire::statement;

/// Whether the complaint only says that what was to be removed is not there.
pub(super) fn is_about_absence(change: &Change, errno: Errno) -> bool {
    let removal = matches!(
        change,
        Change::DestroyTable | Change::DestroySet(_) | Change::DestroyChain(_)
    );
    removal && errno == Errno::ENOENT
}

/// The error for a change that the kernel refused.
pub(super) fn structure(family: Family, change: &Change, answer: Answer<'_>) -> Error {
    let errno = Errno(answer.errno);
    if errno == Errno::EPERM {
        return Error::Denied;
    }
    Error::Refused {
        what: format!("{} in table {family} {TABLE}", what(change)),
        errno,
        details: answer
            .text
            .map_or_else(String::new, |text| format!(" ({text})")),
        hint: hint(family, change, errno),
    }
}

fn what(change: &Change) -> String {
    match change {
        Change::CreateTable => "create the table".to_owned(),
        Change::DestroyTable => "remove the table".to_owned(),
        Change::CreateSet(name) => format!("create set {name}"),
        Change::DestroySet(name) => format!("remove set {name}"),
        Change::CreateChain { name, .. } => format!("create chain {name}"),
        Change::DestroyChain(name) => format!("remove chain {name}"),
        Change::SetRules(chain) => format!("replace the rules of chain {}", chain.name),
        Change::ClearRules(name) => format!("remove the rules of chain {name}"),
        Change::Add(element) => format!("add elements to set {}", element.set),
        Change::Replace(element) => format!("replace elements of set {}", element.set),
        Change::Delete(element) => format!("delete elements of set {}", element.set),
    }
}

fn hint(family: Family, change: &Change, errno: Errno) -> String {
    let missing = matches!(errno, Errno::ENOENT | Errno::EOPNOTSUPP);
    match change {
        Change::SetRules(chain) if missing => {
            let mut modules: Vec<_> = chain
                .rules
                .iter()
                .flat_map(|rule| &rule.statements)
                .filter_map(|it| statement::module(family, it))
                .collect();
            modules.sort_unstable();
            modules.dedup();
            if modules.is_empty() {
                ": does something that its rules name not exist?".to_owned()
            } else {
                format!(
                    ": does the kernel have these modules: {}?",
                    modules.join(", ")
                )
            }
        }
        Change::CreateChain { hook: Some(_), .. } if missing => {
            ": does the kernel have the module nft_chain_nat?".to_owned()
        }
        Change::CreateTable if missing => ": does the kernel have the module nf_tables?".to_owned(),
        Change::DestroyChain(_) | Change::DestroySet(_) if errno == Errno::EBUSY => {
            ": does a rule that somebody else added still use it?".to_owned()
        }
        Change::Add(_) | Change::Replace(_) | Change::Delete(_) if errno == Errno::ENOENT => {
            ": was it removed by another program?".to_owned()
        }
        _ => String::new(),
    }
}
