//! What a newcomer sees first must be true: the demo fails if an answer is not as it should be.

use std::process::Command;

#[test]
fn the_demo_shows_what_it_promises() {
    let output = Command::new(env!("CARGO_BIN_EXE_fairway"))
        .arg("demo")
        .output()
        .expect("the demo starts");
    let shown = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n{log}");
    let last = shown.lines().rev().find(|line| !line.is_empty());
    let passed = last.is_some_and(|line| line.starts_with("All ") && line.contains("passed"));
    assert!(passed, "{shown}\n{log}");
    assert!(!shown.contains("FAILED"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours into a pipe");
    assert!(
        shown.lines().all(|line| line.chars().count() <= 100),
        "{shown}"
    );
}
