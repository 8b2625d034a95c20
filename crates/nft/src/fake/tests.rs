use fairway_plan::{Bytes, Chain, Change, Element, Family, Rule, SetName, Statement, Transaction};

use super::Fake;
use crate::{Dataplane, Errno, Error, Report};

const FAMILY: Family = Family::Ip4;
const SET: SetName = SetName::Hairpin;

fn element(key: u32) -> Element {
    Element {
        set: SET,
        key: Bytes::new().slot(key),
        value: Bytes::new(),
    }
}

fn chain(statements: Vec<Statement>) -> Chain {
    Chain {
        name: "services",
        hook: None,
        rules: vec![Rule {
            statements,
            comment: "",
        }],
    }
}

fn commit(fake: &mut Fake, changes: impl Into<Vec<Change>>) -> Result<Report, Errno> {
    let transaction = Transaction {
        make: changes.into(),
        ..Transaction::new(FAMILY)
    };
    fake.commit(&transaction).map_err(|error| match error {
        Error::Refused { errno, .. } => errno,
        error => panic!("{error}"),
    })
}

fn begin() -> Fake {
    let mut fake = Fake::new();
    let chain = Change::CreateChain {
        name: "services",
        hook: None,
    };
    commit(
        &mut fake,
        [Change::CreateTable, Change::CreateSet(SET), chain],
    )
    .unwrap();
    fake
}

#[test]
fn mistakes_are_errors_and_undone() {
    let used = chain(vec![Statement::InSet {
        key: vec![],
        set: SET,
    }]);
    let missing = SetName::Refused;
    for (changes, errno) in [
        (
            vec![Change::Add(element(1)), Change::Add(element(1))],
            Errno::EEXIST,
        ),
        (
            vec![Change::Add(element(1)), Change::Delete(element(2))],
            Errno::ENOENT,
        ),
        (vec![Change::Replace(element(1))], Errno::ENOENT),
        (
            vec![Change::Add(Element {
                set: missing,
                ..element(1)
            })],
            Errno::ENOENT,
        ),
        (vec![Change::CreateSet(SET)], Errno::EEXIST),
        (vec![Change::DestroySet("refused".into())], Errno::ENOENT),
        (
            vec![Change::SetRules(used), Change::DestroySet("hairpin".into())],
            Errno::EBUSY,
        ),
        (
            vec![Change::SetRules(chain(vec![Statement::Jump("nowhere")]))],
            Errno::ENOENT,
        ),
        (vec![Change::DestroyChain("nowhere".into())], Errno::ENOENT),
        (
            vec![Change::DestroyTable, Change::Add(element(1))],
            Errno::ENOENT,
        ),
    ] {
        let mut fake = begin();
        let before = fake.read(FAMILY).unwrap();
        assert_eq!(
            commit(&mut fake, changes.clone()),
            Err(errno),
            "{changes:?}"
        );
        assert_eq!(fake.read(FAMILY).unwrap(), before, "{changes:?}");
        assert_eq!((fake.writes(), fake.commits()), (3, 1), "{changes:?}");
    }
}

#[test]
fn refuses_what_it_is_told_to() {
    let mut fake = begin();
    fake.refuse(SET, element(2).key, Errno::EINVAL);
    let report = commit(&mut fake, [1, 2, 3].map(|key| Change::Add(element(key)))).unwrap();
    assert_eq!((report.writes, report.refused[0].errno), (2, Errno::EINVAL));
    assert_eq!(report.refused[0].element, element(2));
    assert_eq!(fake.elements(FAMILY, SET).unwrap().len(), 2);
    // A planner that does not keep book of what was refused may remove it.
    assert_eq!(
        commit(&mut fake, [Change::Delete(element(2))])
            .unwrap()
            .refused,
        []
    );
    fake.refuse_nothing();
    assert_eq!(
        commit(&mut fake, [Change::Add(element(2))])
            .unwrap()
            .refused,
        []
    );
}

#[test]
fn shows_what_others_did() {
    let mut fake = begin();
    assert!(fake.ruleset(FAMILY).is_some());
    fake.add_foreign_rule(FAMILY, "services");
    fake.add_foreign_set(FAMILY, "someone");
    assert!(fake.ruleset(FAMILY).is_none());
    let observed = fake.read(FAMILY).unwrap();
    assert_eq!(observed.chains[0].rules, [None]);
    assert_eq!(
        (observed.sets[1].name.as_str(), observed.sets[1].ours),
        ("someone", None)
    );
    fake.flush();
    assert!(!fake.read(FAMILY).unwrap().table);
}

#[test]
fn what_elements_count_goes_with_them() {
    const COUNTING: SetName = SetName::Connections;
    let mut fake = begin();
    let counting = Element {
        set: COUNTING,
        ..element(1)
    };
    let key = counting.key.clone();
    let add = Change::Add(counting.clone());
    commit(&mut fake, [Change::CreateSet(COUNTING), add.clone()]).unwrap();
    fake.count(FAMILY, COUNTING, &key, 2);
    fake.count(FAMILY, COUNTING, &key, 1);
    let counters = fake.counters(FAMILY, COUNTING).unwrap();
    assert_eq!(counters, [(key.clone(), 3)]);
    commit(&mut fake, [Change::Delete(counting)]).unwrap();
    fake.count(FAMILY, COUNTING, &key, 1);
    assert!(
        fake.counters_of(FAMILY, COUNTING, std::slice::from_ref(&key))
            .is_err()
    );
    commit(&mut fake, [add]).unwrap();
    assert_eq!(fake.counters(FAMILY, COUNTING).unwrap(), [(key, 0)]);
}
