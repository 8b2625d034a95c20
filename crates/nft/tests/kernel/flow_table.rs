//! Flow tables, on kernels with and without them.

use std::process::Command;

use fairway_nft::{Error, FlowTable};

use crate::namespace::in_namespace;
use crate::nft::nft;

fn output(arguments: &[&str]) -> Option<String> {
    let output = Command::new("nft").args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then_some(text)
}

/// Where the kernel has no flow tables, that is said, and nothing is left behind.
#[test]
fn a_flow_table_is_there_or_the_kernel_is_named() {
    in_namespace(|| {
        let interfaces = ["lo".to_owned()];
        let mut flow_table = FlowTable::open().unwrap();
        nft(&["add table inet probe"]);
        let kernel_can = output(&[
            "add flowtable inet probe probe { hook ingress priority 0; devices = { lo }; }",
        ])
        .is_some();
        let result = flow_table.replace(&interfaces);
        let listed = output(&["list", "table", "inet", "fairway-flows"]);
        match (kernel_can, result) {
            (true, Ok(())) => {
                assert_eq!(listed.unwrap(), FlowTable::text(&interfaces));
                flow_table.replace(&interfaces).unwrap();
            }
            (false, Err(error @ Error::Refused { .. })) => {
                let text = error.to_string();
                assert!(text.contains("CONFIG_NF_FLOW_TABLE"), "{text}");
                assert_eq!(listed, None);
            }
            (kernel_can, result) => panic!("the kernel can: {kernel_can}; {result:?}"),
        }
        flow_table.replace(&[]).unwrap();
        assert_eq!(output(&["list", "table", "inet", "fairway-flows"]), None);
    });
}

/// What a run with the option left behind goes with one without it.
#[test]
fn a_table_that_is_there_is_removed() {
    in_namespace(|| {
        nft(&["add table inet fairway-flows"]);
        nft(&[
            "add chain inet fairway-flows established { type filter hook forward priority 10; }",
        ]);
        FlowTable::open().unwrap().replace(&[]).unwrap();
        assert_eq!(output(&["list", "table", "inet", "fairway-flows"]), None);
    });
}

#[test]
fn to_remove_nothing_changes_nothing() {
    in_namespace(|| {
        let mut netlink = fairway_nft::Netlink::open().unwrap();
        let before = netlink.generation().unwrap();
        FlowTable::open().unwrap().replace(&[]).unwrap();
        assert_eq!(netlink.generation().unwrap(), before);
    });
}
