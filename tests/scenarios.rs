//! `docs/scenarios-*.md` tell the truth: every scenario is there, and every test that they name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What marks a row that lacks something, with the reason after it.
const MARKS: [&str; 2] = ["open: ", "not here: "];

#[test]
fn every_scenario_of_the_service_proxy_names_tests_that_exist() {
    check(
        "docs/scenarios-service-proxy.md",
        (1..=120).map(|number| number.to_string()),
    );
}

#[test]
fn every_scenario_of_the_ingress_router_names_tests_that_exist() {
    let suite = (1..=30).map(|number| format!("C{number}"));
    // 37 to 60 are about annotations.
    let others = (1..=36).chain(61..=140);
    check(
        "docs/scenarios-ingress.md",
        suite.chain(others.map(|number| number.to_string())),
    );
}

/// Checks the rows `| number | what happens | shown by |` of all tables of a page.
fn check(page: &str, expected: impl Iterator<Item = String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(page)).unwrap();
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    let (mut numbers, mut lacking) = (Vec::new(), 0);
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, number, what, shown_by, _] = cells[..] else {
            panic!("not three cells: {row}");
        };
        if number.trim_start_matches('C').parse::<u32>().is_err() {
            continue;
        }
        numbers.push(number.to_owned());
        assert!(!what.is_empty(), "{row}");
        let mut lacks = false;
        for entry in shown_by.split("<br>") {
            let mark = MARKS.iter().find_map(|mark| entry.strip_prefix(mark));
            if let Some(reason) = mark {
                assert!(!reason.is_empty(), "{row}");
                lacks = true;
                continue;
            }
            let test = entry.trim_matches('`');
            let (file, function) = test.split_once("::").unwrap_or_else(|| panic!("{row}"));
            let source = sources.entry(file.to_owned()).or_insert_with(|| {
                fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{row}: {error}"))
            });
            assert!(runs(source, function), "{number}: {test} is no test");
        }
        lacking += usize::from(lacks);
    }
    assert_eq!(numbers, expected.collect::<Vec<_>>(), "numbers of {page}");
    let claimed = text.split("claimed here:").nth(1).unwrap();
    let claimed = claimed.split(|c: char| !c.is_ascii_digit());
    let claimed = claimed.filter_map(|number| number.parse().ok()).next();
    assert_eq!(claimed, Some(lacking), "rows of {page} that lack something");
}

/// Whether a function is a test: by its attribute, or as one that is fed in both ways.
fn runs(source: &str, function: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {function}(")) else {
        return false;
    };
    let attributes = before.rsplit("\n\n").next().unwrap_or_default();
    let attributes = attributes.rsplit(['}', ';']).next().unwrap_or_default();
    if attributes.contains("#[ignore") {
        return false;
    }
    let twice = source.split("fed_both_ways!(").skip(1);
    let mut twice = twice.filter_map(|list| list.split(");").next());
    attributes.contains("#[test]")
        || attributes.contains("#[tokio::test")
        || twice.any(|list| list.split(',').any(|name| name.trim() == function))
}

#[test]
fn what_is_not_run_is_no_test() {
    let source = "fed_both_ways!(a, b);\nfn a(feed: Feed) {}\nfn c(feed: Feed) {}\n\
                  #[test]\nfn d() {}\nfn e() {}\n#[test]\n#[ignore]\nfn g() {}\n";
    let found = ["a", "b", "c", "d", "e", "f", "g"].map(|name| runs(source, name));
    assert_eq!(found, [true, false, false, true, false, false, false]);
}
