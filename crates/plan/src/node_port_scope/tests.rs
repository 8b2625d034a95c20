use super::*;

fn node(addresses: &[&str]) -> Node {
    Node {
        addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        ..Node::default()
    }
}

fn listening(options: &NodePortAddresses, node: &Node, interfaces: &[&str]) -> [String; 2] {
    let interfaces: Vec<_> = interfaces.iter().map(|it| it.parse().unwrap()).collect();
    Family::ALL.map(|family| {
        let scope = NodePortScope::new(family, options, node);
        let addresses = scope.listening(family, &interfaces);
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        addresses.join(" ")
    })
}

const INTERFACES: [&str; 6] = [
    "127.0.0.1",
    "192.0.2.7",
    "192.0.2.200",
    "::1",
    "2001:db8::7",
    "fe80::7",
];

#[test]
fn the_primary_address_is_the_nodes_first_of_a_family() {
    let primary = NodePortAddresses::Primary(None);
    let both = node(&["192.0.2.200", "192.0.2.7", "2001:db8::7"]);
    let expected = ["192.0.2.200", "2001:db8::7"];
    assert_eq!(listening(&primary, &both, &INTERFACES), expected);
    let single = node(&["192.0.2.200"]);
    let expected = ["192.0.2.200", "::"];
    assert_eq!(listening(&primary, &single, &INTERFACES), expected);
    assert_eq!(
        listening(&primary, &node(&[]), &INTERFACES),
        ["0.0.0.0", "::"]
    );
    // The operator knows better than the Node, whose other family stays.
    let given = NodePortAddresses::Primary("192.0.2.7".parse().ok());
    let expected = ["192.0.2.7", "2001:db8::7"];
    assert_eq!(listening(&given, &both, &INTERFACES), expected);
}

#[test]
fn networks_select_addresses_of_interfaces_but_never_loopback() {
    let within = |networks: &[&str]| {
        NodePortAddresses::Within(networks.iter().map(|it| it.parse().unwrap()).collect())
    };
    let of = |networks: &[&str]| listening(&within(networks), &node(&[]), &INTERFACES);
    assert_eq!(of(&["192.0.2.0/25"]), ["192.0.2.7", "::"]);
    let overlapping = ["192.0.2.0/24", "192.0.2.0/25", "127.0.0.0/8", "::1/128"];
    assert_eq!(of(&overlapping), ["192.0.2.7 192.0.2.200", ""]);
    assert_eq!(of(&["10.0.0.0/8", "2001:db8::/32"]), ["", "2001:db8::7"]);
    let expected = ["0.0.0.0", "2001:db8::7"];
    assert_eq!(of(&["0.0.0.0/0", "2001:db8::/32", "fe80::/10"]), expected);
}
