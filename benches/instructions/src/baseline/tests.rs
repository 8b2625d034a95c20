use super::*;

fn baseline(counts: &[(&str, u64)]) -> Baseline {
    Baseline {
        toolchain: "rustc 1.95.0; glibc 2.36".into(),
        counts: counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect(),
    }
}

#[test]
fn what_is_written_is_read() {
    let written = baseline(&[("plan", 1_000), ("route", 20)]);
    assert_eq!(Baseline::parse(&written.to_string()), Ok(written));
}

#[test]
fn a_line_that_is_none_is_named() {
    let error = Baseline::parse("work,instructions\nplan,many\n").unwrap_err();
    assert_eq!((error.line, &*error.text), (2, "plan,many"));
}

#[test]
fn five_percent_more_are_accepted_and_no_more() {
    let before = baseline(&[("plan", 1_000)]);
    assert!(before.judge(&baseline(&[("plan", 1_050)])).is_good());
    assert!(before.judge(&baseline(&[("plan", 10)])).is_good());
    let grown = before.judge(&baseline(&[("plan", 1_051)]));
    assert!(!grown.is_good());
    let text = grown.to_string();
    assert!(text.contains("plan takes 5.1 % more instructions than before: 1051, not 1000"));
    assert!(text.contains(ACCEPT), "{text}");
}

#[test]
fn counts_of_another_compiler_are_judged_mildly() {
    let before = baseline(&[("plan", 1_000)]);
    let other = |count| Baseline {
        toolchain: "rustc 1.96.0; glibc 2.36".into(),
        ..baseline(&[("plan", count)])
    };
    let mild = before.judge(&other(1_200));
    assert!(mild.is_good());
    let text = mild.to_string();
    assert!(text.contains("1.95.0") && text.contains("1.96.0"), "{text}");
    assert!(!before.judge(&other(1_300)).is_good());
}

#[test]
fn baseline_and_work_are_of_the_same_names() {
    let (both, one) = (
        baseline(&[("plan", 1), ("route", 1)]),
        baseline(&[("plan", 1)]),
    );
    assert!(!one.judge(&both).is_good());
    assert!(!both.judge(&one).is_good());
}
