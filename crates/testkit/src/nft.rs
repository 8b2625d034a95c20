//! The `nft` program in a namespace: an independent reader of what was programmed. Tests only;
//! fairway itself does not need it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use crate::Family;
use crate::lab::Namespace;

/// `nft list ruleset`.
///
/// # Errors
///
/// When `nft` is not installed or fails, with what it said.
pub fn list_ruleset(namespace: &Namespace) -> Result<String> {
    nft(namespace, &["list", "ruleset"])
}

/// `nft list table ip fairway`, or `ip6`.
///
/// # Errors
///
/// Also when there is no such table.
pub fn list_table(namespace: &Namespace, family: Family, table: &str) -> Result<String> {
    nft(namespace, &["list", "table", family.nft(), table])
}

/// `nft` with these arguments; returns what it printed.
///
/// # Errors
///
/// When `nft` is not installed or fails, with what it said.
pub fn nft(namespace: &Namespace, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("nft");
    command.args(arguments);
    let output = namespace.output(command).context("cannot run nft")?;
    printed(output).with_context(|| format!("nft {}", arguments.join(" ")))
}

/// `nft -f -`: applies a script in one transaction.
///
/// # Errors
///
/// When `nft` is not installed or refuses the script, with what it said.
pub fn apply(namespace: &Namespace, script: &str) -> Result<()> {
    let mut command = Command::new("nft");
    command
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut nft = namespace.spawn(command).context("cannot run nft")?;
    // It reads all of its input before it prints, so that the pipes cannot block each other.
    let mut input = nft.stdin.take().context("nft has an input")?;
    let written = input.write_all(script.as_bytes());
    drop(input);
    // When it stops reading it says why, which tells more than the broken pipe.
    printed(nft.wait_with_output()?).context("nft -f -")?;
    written.context("nft did not read its script")
}

/// What `nft` lists, without what is left to chance: words a space apart, the elements of each set
/// in alphabetical order, a line for each chain, set and map.
pub fn normalise(listing: &str) -> String {
    let words: Vec<_> = listing.split_whitespace().collect();
    let words = words.join(" ");
    let mut blocks = words.split("elements = { ");
    let mut normal = blocks.next().unwrap_or_default().to_owned();
    for block in blocks {
        let (elements, rest) = block.split_once(" }").unwrap_or((block, ""));
        let mut elements: Vec<_> = elements.split(", ").collect();
        elements.sort_unstable();
        normal.push_str(&format!("elements = {{ {} }}{rest}", elements.join(", ")));
    }
    ["chain", "set", "map", "table"]
        .into_iter()
        .fold(normal, |text, kind| {
            text.replace(&format!(" {kind} "), &format!("\n{kind} "))
        })
}

fn printed(output: Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout).context("nft printed no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_elements_and_line_breaks_make_no_difference() {
        let listing = "table ip t {\n\tset s {\n\t\telements = { 2,\n\t\t\t     1 }\n\t}\n}\n";
        let normal = "table ip t {\nset s { elements = { 1, 2 } } }";
        assert_eq!(normalise(listing), normal);
        assert_eq!(normalise(&normalise(listing)), normal);
        assert_ne!(normalise(&listing.replace('2', "3")), normal);
    }
}
