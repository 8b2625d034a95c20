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

fn printed(output: Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout).context("nft printed no text")
}
