use crate::{Facts, Finding};

const CALL: &str = "net/bridge/bridge-nf-call-iptables";

/// Two pods of one bridge: the reply to a translated connection goes straight through the bridge, and the
/// client gets an answer from somebody it did not ask, unless bridged packets pass netfilter.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let bridges = facts.interfaces().iter();
    let bridges = bridges.filter(|it| it.kind.as_deref() == Some("bridge"));
    let names: Vec<_> = bridges.map(|it| it.name.as_str()).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let names = names.join(", ");
    let why =
        "a pod that asks a Service whose endpoint is on the same bridge never gets its answer";
    vec![match facts.number(CALL) {
        None => Finding::fault(
            "bridges",
            format!("bridge {names}, and the module br_netfilter is not loaded"),
            why,
            "modprobe br_netfilter, and in /etc/modules-load.d for the next start",
        ),
        Some(0) => Finding::fault(
            "bridges",
            format!("bridge {names}, and net.bridge.bridge-nf-call-iptables is 0"),
            why,
            "sysctl -w net.bridge.bridge-nf-call-iptables=1, and in /etc/sysctl.d for the next start",
        ),
        Some(_) => Finding::ok("bridges", format!("what passes {names} passes netfilter")),
    }]
}
