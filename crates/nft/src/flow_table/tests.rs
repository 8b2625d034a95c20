use super::*;
use crate::wire::constants::{NFT_MSG_NEWFLOWTABLE, NFT_MSG_NEWRULE};
use crate::wire::reader;

fn interfaces(names: &[&str]) -> Vec<String> {
    names.iter().copied().map(String::from).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The attributes of the only message of this kind.
fn message(names: &[&str], kind: u16) -> String {
    let mut writer = Writer::default();
    replace(&mut writer, 7, &interfaces(names));
    let message = reader::messages(writer.bytes()).find(|message| message.kind == kind);
    hex(message.unwrap().attributes())
}

#[test]
fn writes_the_flow_table_as_nft_does() {
    let expected = [
        "12000100666169727761792d666c6f7773000000", // fairway-flows
        "0d000200736572766963657300000000",         // services
        "30000380",                                 // the hook:
        "0800010000000000",                         // ingress
        "0800020000000000",                         // priority 0
        "1c000380",                                 // the interfaces:
        "09000100636e693000000000",                 // cni0
        "090001006574683000000000",                 // eth0
    ];
    let written = message(&["cni0", "eth0"], NFT_MSG_NEWFLOWTABLE);
    assert_eq!(written, expected.concat());
}

#[test]
fn the_rule_ends_by_handing_the_flow_over() {
    let written = message(&["eth0"], NFT_MSG_NEWRULE);
    let expected = [
        "2c000180",                                 // an expression
        "11000100666c6f775f6f66666c6f616400000000", // flow_offload
        "14000280",                                 // its data
        "0d000100736572766963657300000000",         // services
    ];
    assert!(written.ends_with(&expected.concat()), "{written}");
}

#[test]
fn only_answered_established_tcp_through_services_is_taken() {
    let text = FlowTable::text(&interfaces(&["eth0", "cni0"]));
    let expected = "\
table inet fairway-flows {
\tflowtable services {
\t\thook ingress priority filter
\t\tdevices = { eth0, cni0 }
\t}

\tchain established {
\t\ttype filter hook forward priority filter + 10; policy accept;
\t\tmeta l4proto tcp ct state established ct status dnat flow add @services
\t}
}
";
    assert_eq!(text, expected);
    assert_eq!(FlowTable::text(&[]), "");
}

#[test]
fn without_interfaces_there_is_no_table_in_the_end() {
    let steps = |names| replace(&mut Writer::default(), 0, &interfaces(names)).len();
    assert_eq!(steps(&[]), 2, "created, so that removing it cannot fail");
    assert_eq!(steps(&["eth0"]), 6);
}
