//! Debian's nft, which loads what is not fairway's.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a script in the network namespace that this runs in.
pub(crate) fn load(script: &str) {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nft: install Debian's nftables for the comparison");
    let mut stdin = child.stdin.take().expect("piped above");
    stdin
        .write_all(script.as_bytes())
        .expect("nft reads its input");
    drop(stdin);
    assert!(child.wait().expect("nft ends").success());
}
