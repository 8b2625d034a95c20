//! What the binary may be made of: one TLS provider, nothing from git, no crate twice without a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crates that are built in two versions, and who still needs the older one.
const TWICE: [(&str, &str); 4] = [
    ("base64", "k8s-openapi and tower-http"),
    ("getrandom", "ahash of kube-runtime"),
    ("hashbrown", "kube-runtime"),
    ("syn", "pin-project and tracing-attributes, at build time"),
];

/// Providers that must not come in beside aws-lc-rs.
const OTHER_TLS: [&str; 3] = ["ring", "openssl-sys", "native-tls"];

#[test]
fn one_tls_provider_no_git_sources_no_unexplained_duplicates() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in built().lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            continue;
        };
        assert!(
            !OTHER_TLS.contains(&name),
            "{name} is a second TLS provider"
        );
        assert!(!line.contains("(git+"), "{name} comes from git");
        let known = versions.entry(name.to_owned()).or_default();
        known.insert(version.to_owned());
    }
    assert!(
        versions.len() > 50,
        "cargo tree said something else: {versions:?}"
    );
    let twice: Vec<_> = versions
        .iter()
        .filter(|(_, known)| known.len() > 1)
        .collect();
    for (name, known) in &twice {
        let explained = TWICE.iter().any(|(explained, _)| explained == name);
        assert!(explained, "more than one version of {name}: {known:?}");
    }
    for (name, _) in TWICE {
        let needed = twice.iter().any(|(known, _)| *known == name);
        assert!(needed, "{name} is built once by now: take it off the list");
    }
}

/// Every crate that is built for Linux, a line each.
fn built() -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build"])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}
