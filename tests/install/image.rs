//! What the image is packed with and said to be made of. `manifests/image/check` looks at a whole image, which takes too
//! long to build for a test.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::rendering::{folder, judge, run, stdout};

/// Of a commit.
const EPOCH: &str = "1790000000";

#[test]
fn the_bill_of_materials_is_cyclone_dx() {
    let bill = bill();
    let judged = run(judge("bill.py"), &bill);
    assert!(judged.status.success(), "{judged:?}");
    for (right, wrong) in [
        (r#""bomFormat": "CycloneDX""#, r#""bomFormat": "SPDX""#),
        (r#""type": "library""#, r#""type": "crate""#),
        (r#""purl""#, r#""url""#),
    ] {
        assert!(bill.contains(right), "{right}");
        let judged = run(judge("bill.py"), &bill.replacen(right, wrong, 1));
        assert!(!judged.status.success(), "{wrong}: {judged:?}");
    }
}

/// What is in it, with a checksum where a registry has one, and nothing that only tests or builds need.
#[test]
fn the_bill_of_materials_has_what_is_in_the_binary() {
    let bill: Value = serde_json::from_str(&bill()).unwrap();
    let components = bill["components"].as_array().unwrap();
    let names: BTreeSet<&str> = components
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    for there in [
        "hyper",
        "kube",
        "rustls",
        "aws-lc-sys",
        "mimalloc",
        "fairway-nft",
    ] {
        assert!(names.contains(there), "{there}");
    }
    for absent in [
        "proptest",
        "fairway-testkit",
        "cc",
        "serde_derive",
        "libfuzzer-sys",
    ] {
        assert!(!names.contains(absent), "{absent}");
    }
    for component in components {
        let ours = component["name"].as_str().unwrap().starts_with("fairway");
        assert_eq!(component["hashes"].is_array(), !ours, "{component}");
        assert!(component["licenses"].is_array(), "{component}");
    }
    let references: BTreeSet<&str> = bill["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["ref"].as_str().unwrap())
        .collect();
    assert_eq!(references.len(), components.len() + 1);
}

#[test]
fn the_same_binary_makes_the_same_image() {
    let scratch = tempfile::tempdir().unwrap();
    // Static, as far as the packer looks: an ELF header without program headers.
    let mut binary = vec![0; 1 << 16];
    binary[..5].copy_from_slice(b"\x7fELF\x02");
    let pack = |name: &str, binary: &[u8], epoch: &str| {
        let folder = scratch.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("binary"), binary).unwrap();
        let mut pack = Command::new("python3");
        pack.env("SOURCE_DATE_EPOCH", epoch)
            .arg(script("pack.py"))
            .args(["--architecture", "amd64"])
            .args([folder.join("binary"), folder.join("archive")]);
        stdout(run(pack, ""));
        std::fs::read(folder.join("archive")).unwrap()
    };
    let one = pack("one", &binary, EPOCH);
    assert_eq!(one, pack("other", &binary, EPOCH));
    assert_ne!(one, pack("later", &binary, "1790000001"));
    binary[100] = 1;
    assert_ne!(one, pack("changed", &binary, EPOCH));
}

fn bill() -> String {
    let mut metadata = Command::new(env!("CARGO"));
    metadata
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .args([
            "--no-default-features",
            "--filter-platform",
            "x86_64-unknown-linux-musl",
        ]);
    let metadata = stdout(metadata.output().unwrap());
    let mut bill = Command::new("python3");
    bill.env("SOURCE_DATE_EPOCH", EPOCH)
        .arg(script("bill_of_materials.py"));
    stdout(run(bill, &metadata))
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(&folder()).join("image").join(name)
}
