//! Debian's nft: an independent reader of what we write, and writer of what we read.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use fairway_plan::{Family, TABLE};

/// Runs nft in the namespace of this thread and returns what it prints.
pub(crate) fn nft(arguments: &[&str]) -> String {
    expect_success(arguments, run(arguments, ""))
}

/// Loads text.
pub(crate) fn load(text: &str) {
    expect_success(&["-f", "-"], run(&["-f", "-"], text));
}

/// What nft prints of our table.
pub(crate) fn list(family: Family) -> String {
    nft(&["list", "table", &family.to_string(), TABLE])
}

/// The kernel's expressions of our table as nft sees them, without what differs from one loading
/// to the next: handles, and user data other than the comment's.
pub(crate) fn expressions(family: Family) -> String {
    let output = nft(&[
        "--debug=netlink",
        "list",
        "table",
        &family.to_string(),
        TABLE,
    ]);
    let start = format!("{family} {TABLE} ");
    output
        .lines()
        .filter(|line| !line.trim_start().starts_with("userdata"))
        .map(|line| match line.strip_prefix(&start) {
            Some(rest) => rest.split(' ').next().unwrap_or_default(),
            None => line,
        })
        .take_while(|line| !line.starts_with("table "))
        .filter(|line| !line.is_empty() && !line.trim_start().starts_with("element "))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The same text with one space between words and the elements of each set in alphabetical order.
pub(crate) fn normalise(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    let mut rest = words.as_str();
    while let Some((before, after)) = rest.split_once("elements = { ") {
        let (elements, after) = after.split_once(" }").expect("elements end");
        let mut elements: Vec<_> = elements.split(", ").collect();
        elements.sort_unstable();
        out.push_str(before);
        out.push_str(&format!("elements = {{ {} }}", elements.join(", ")));
        rest = after;
    }
    out.push_str(rest);
    // One line for each block, so that a difference can be found.
    out.replace(" chain ", "\nchain ")
        .replace(" set ", "\nset ")
        .replace(" map ", "\nmap ")
}

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("nft")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cannot start nft: install the package nftables, these tests compare with it");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes())
        .expect("nft reads its input");
    child.wait_with_output().expect("nft ends")
}

fn expect_success(arguments: &[&str], output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nft {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
