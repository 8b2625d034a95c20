use fairway_plan::{Bytes, Chain, Change, Element, Family, Rule, SetName, SlotClass, Statement};
use proptest::prelude::*;

use super::{Batch, Content, Progress};
use crate::error::{Errno, Error};
use crate::wire::constants::{
    NETFILTER_HEADER, NFT_MSG_DELRULE, NFT_MSG_DELSETELEM, NFT_MSG_NEWRULE, NFT_MSG_NEWSETELEM,
    NFT_MSG_NEWTABLE, NLM_F_ACK,
};
use crate::wire::element::Direction;
use crate::wire::reader::{self, Answer};

const NO_LIMIT: usize = usize::MAX;

fn element(slots: usize, key: u32) -> Element {
    Element {
        set: SetName::Endpoints(SlotClass::of(slots).unwrap()),
        key: Bytes::new().slot(key),
        value: Bytes::new().slot(key + 1),
    }
}

fn batch(changes: &[Change]) -> Batch {
    Progress::new(Family::Ip4, changes)
        .batch(0, 100, NO_LIMIT)
        .unwrap()
}

fn kinds(batch: &Batch) -> Vec<u16> {
    let messages = reader::messages(batch.bytes()).map(|message| message.kind);
    let kinds: Vec<_> = messages.collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&0x10), Some(&0x11)));
    kinds[1..kinds.len() - 1].to_vec()
}

/// For each message of elements the changes it is about.
fn members(batch: &Batch) -> Vec<(Direction, Vec<usize>)> {
    let contents = batch.messages.iter().map(|sent| sent.content.clone());
    contents
        .filter_map(|content| match content {
            Content::Elements(direction, members) => {
                Some((direction, batch.members[members].to_vec()))
            }
            Content::Structure(_) => None,
        })
        .collect()
}

fn complaint(errno: Errno, offset: Option<usize>) -> Answer<'static> {
    Answer {
        errno: errno.0,
        offset,
        text: None,
    }
}

/// Where element `position` starts in a message of elements.
fn offset(batch: &Batch, message: usize, position: usize) -> Option<usize> {
    let message = reader::messages(&batch.bytes()[batch.messages[message].start..]).next()?;
    let list = reader::attributes(message.attributes()).find(|attribute| attribute.kind == 3)?;
    let element = reader::attributes(list.value).nth(position)?;
    Some(NETFILTER_HEADER + list.offset + 4 + element.offset)
}

#[test]
fn packs_neighbours_and_keeps_the_order() {
    use Direction::{Add, Delete};

    let changes = [
        Change::CreateTable,
        Change::Add(element(1, 1)),
        Change::Add(element(1, 2)),
        Change::Add(element(2, 3)),
        Change::Replace(element(2, 4)),
        Change::Replace(element(2, 5)),
        Change::Delete(element(2, 6)),
        Change::Add(element(2, 7)),
    ];
    let batch = batch(&changes);
    let (add, delete) = (NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM);
    assert_eq!(
        kinds(&batch),
        [NFT_MSG_NEWTABLE, add, add, delete, add, delete, add]
    );
    let expected = [
        (Add, vec![1, 2]),
        (Add, vec![3]),
        (Delete, vec![4, 5]),
        (Add, vec![4, 5]),
        (Delete, vec![6]),
        (Add, vec![7]),
    ];
    assert_eq!(members(&batch), expected);
    let numbers: Vec<_> = reader::messages(batch.bytes())
        .map(|m| m.sequence)
        .collect();
    assert_eq!(numbers, (100..109).collect::<Vec<_>>());
    let acks: Vec<_> = reader::messages(batch.bytes())
        .filter(|message| message.flags & NLM_F_ACK != 0)
        .map(|message| message.sequence)
        .collect();
    assert_eq!(acks, [107], "the last message alone asks for an answer");
    assert_eq!(batch.position(100), Some(None));
    assert_eq!(batch.position(107), Some(Some(6)));
    assert_eq!((batch.position(108), batch.position(99)), (None, None));
}

#[test]
fn replacing_rules_is_one_change_of_several_messages() {
    let rule = Rule {
        statements: vec![Statement::Drop],
        comment: "",
    };
    let chain = Chain {
        name: "services",
        hook: None,
        rules: vec![rule.clone(), rule],
    };
    let changes = [Change::SetRules(chain)];
    let progress = Progress::new(Family::Ip4, &changes);
    let batch = progress.batch(0, 1, NO_LIMIT).unwrap();
    assert_eq!(
        kinds(&batch),
        [NFT_MSG_DELRULE, NFT_MSG_NEWRULE, NFT_MSG_NEWRULE]
    );
    let error = progress.batch(0, 1, batch.bytes().len() - 1);
    assert!(
        matches!(error, Err(Error::TooLarge { .. })),
        "never torn apart"
    );
}

#[test]
fn a_refused_element_goes_and_those_after_it_are_told_apart() {
    let changes = [1, 2, 3, 4, 5].map(|key| Change::Add(element(1, key)));
    let mut progress = Progress::new(Family::Ip4, &changes);
    let first = progress.batch(0, 1, NO_LIMIT).unwrap();
    let answer = complaint(Errno::EINVAL, offset(&first, 0, 1));
    progress.learn(&first, [(0, answer)].into_iter()).unwrap();
    let second = progress.batch(0, 50, NO_LIMIT).unwrap();
    let lists: Vec<_> = members(&second)
        .into_iter()
        .map(|(_, members)| members)
        .collect();
    assert_eq!(lists, [vec![0], vec![2], vec![3], vec![4]]);

    let answer = complaint(Errno::EEXIST, offset(&second, 2, 0));
    progress.learn(&second, [(2, answer)].into_iter()).unwrap();
    let third = progress.batch(0, 99, NO_LIMIT).unwrap();
    assert_eq!(progress.taken(third.covers()), 3);
    let refused: Vec<_> = progress
        .refused()
        .map(|(e, errno)| (e.clone(), errno))
        .collect();
    assert_eq!(
        refused,
        [
            (element(1, 2), Errno::EINVAL),
            (element(1, 4), Errno::EEXIST)
        ]
    );
}

#[test]
fn a_kernel_that_does_not_say_where_is_asked_one_by_one() {
    let changes = [1, 2, 3].map(|key| Change::Add(element(1, key)));
    let mut progress = Progress::new(Family::Ip4, &changes);
    let batch = progress.batch(0, 1, NO_LIMIT).unwrap();
    progress
        .learn(&batch, [(0, complaint(Errno::EINVAL, None))].into_iter())
        .unwrap();
    let batch = progress.batch(0, 50, NO_LIMIT).unwrap();
    assert_eq!(batch.len(), 3);
    progress
        .learn(&batch, [(1, complaint(Errno::EINVAL, None))].into_iter())
        .unwrap();
    assert_eq!(progress.taken(0..3), 2);
}

#[test]
fn a_missing_set_is_not_an_element_s_fault() {
    let changes = [1, 2].map(|key| Change::Add(element(1, key)));
    let mut progress = Progress::new(Family::Ip4, &changes);
    let batch = progress.batch(0, 1, NO_LIMIT).unwrap();
    let answer = complaint(Errno::ENOENT, Some(NETFILTER_HEADER + 12));
    let error = progress
        .learn(&batch, [(0, answer)].into_iter())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("add elements to set endpoints-1"),
        "{error}"
    );
}

#[test]
fn hints_name_the_modules() {
    let rule = Rule {
        statements: vec![Statement::DestinationIsLocal, Statement::Masquerade],
        comment: "",
    };
    let changes = [Change::SetRules(Chain {
        name: "nat",
        hook: None,
        rules: vec![rule],
    })];
    let mut progress = Progress::new(Family::Ip6, &changes);
    let batch = progress.batch(0, 1, NO_LIMIT).unwrap();
    let answer = complaint(Errno::ENOENT, None);
    let error = progress
        .learn(&batch, [(1, answer)].into_iter())
        .unwrap_err();
    let expected = "the kernel refused to replace the rules of chain nat in table ip6 fairway: \
                    No such file or directory (os error 2): \
                    does the kernel have these modules: nft_fib_ipv6, nft_masq?";
    assert_eq!(error.to_string(), expected);
}

/// Batches as a commit sends them, by what their messages are.
fn pieces(changes: &[Change]) -> Vec<Vec<u16>> {
    let progress = Progress::new(Family::Ip4, changes).in_pieces();
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < changes.len() {
        let batch = progress.batch(start, 1, NO_LIMIT).unwrap();
        pieces.push(kinds(&batch));
        start = batch.covers().end;
    }
    pieces
}

#[test]
fn a_new_table_comes_in_pieces_but_its_rules_at_once() {
    let rules = |name| {
        let rule = Rule {
            statements: vec![Statement::Drop],
            comment: "",
        };
        Change::SetRules(Chain {
            name,
            hook: None,
            rules: vec![rule; 500],
        })
    };
    let elements = (0..12_000).map(|key| Change::Add(element(1, key)));
    let mut changes = vec![Change::CreateTable];
    changes.extend(elements);
    changes.extend([rules("first"), rules("second")]);
    let new = pieces(&changes);
    assert_eq!(new[0], [NFT_MSG_NEWTABLE, NFT_MSG_NEWSETELEM]);
    let (last, others) = new.split_last().unwrap();
    assert!(others.len() > 2);
    for piece in &others[1..] {
        assert_eq!(*piece, [NFT_MSG_NEWSETELEM]);
    }
    let rules = last.iter().filter(|kind| **kind == NFT_MSG_NEWRULE);
    assert_eq!(rules.count(), 1_000);

    // A table that takes the place of another one comes whole, and so does a change.
    changes.insert(0, Change::DestroyTable);
    assert_eq!(pieces(&changes).len(), 1);
    assert_eq!(pieces(&changes[2..]).len(), 1);
}

proptest! {
    /// Batches that are cut cover every change once, in order, and each fits; a deletion that
    /// makes room for a replacement stays with it.
    #[test]
    fn cut_batches_cover_everything(
        kinds in prop::collection::vec((0..4_u8, 1..3_usize), 1..200),
        limit in 400..4000_usize,
    ) {
        let changes: Vec<_> = (0..).zip(kinds).map(|(key, (kind, slots))| match kind {
            0 => Change::Add(element(slots, key)),
            1 => Change::Replace(element(slots, key)),
            2 => Change::Delete(element(slots, key)),
            _ => Change::ClearRules("services".to_owned()),
        }).collect();
        let progress = Progress::new(Family::Ip4, &changes);
        let mut start = 0;
        while start < changes.len() {
            let batch = match progress.batch(start, 1, limit) {
                Ok(batch) => batch,
                // A run of many elements is one message.
                Err(Error::TooLarge { size, .. }) => {
                    prop_assert!(size > limit);
                    return Ok(());
                }
                Err(error) => panic!("{error}"),
            };
            prop_assert!(batch.bytes().len() <= limit);
            prop_assert_eq!(batch.covers().start, start);
            prop_assert!(batch.covers().end > start);
            let mut seen: Vec<_> = members(&batch)
                .into_iter()
                .filter(|(direction, members)| {
                    *direction == Direction::Add
                        || matches!(changes[members[0]], Change::Delete(_))
                })
                .flat_map(|(_, members)| members)
                .collect();
            let structure = batch.covers().filter(|n| matches!(changes[*n], Change::ClearRules(_)));
            seen.extend(structure);
            seen.sort_unstable();
            prop_assert_eq!(seen, batch.covers().collect::<Vec<_>>());
            start = batch.covers().end;
        }
    }
}
