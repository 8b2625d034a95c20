//! Every target over its corpus, and over thousands of changed copies of it.

use fairway_fuzz::{Generator, TARGETS, Target, corpus, gate, response};

const GENERATED: usize = 10_000;

fn run(name: &str, generated: usize) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let Target { check, pieces, .. } = *target.expect("a target of that name");
    let corpus = corpus(name);
    assert!(!corpus.is_empty());
    corpus.iter().for_each(|input| check(input));
    for input in Generator::new(1, &corpus, pieces).take(generated) {
        check(&input);
    }
}

#[test]
fn host() {
    run("host", GENERATED);
}

#[test]
fn path() {
    run("path", GENERATED);
}

#[test]
fn proxy_header() {
    run("proxy_header", GENERATED);
}

#[test]
fn ingress() {
    // Each is ten times the work of another.
    run("ingress", GENERATED / 4);
}

#[test]
fn gate() {
    run("gate", GENERATED);
    gate::settle();
    // Had all been refused, nothing would have been tested.
    let arrived = gate::arrived();
    assert!(arrived > GENERATED as u64 / 10, "only {arrived} arrived");
}

#[test]
fn response() {
    run("response", 2 * GENERATED);
    let taken = response::taken();
    assert!(taken > GENERATED as u64 / 5, "only {taken} were compared");
}
