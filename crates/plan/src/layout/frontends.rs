//! What was asked for, whose traffic is masqueraded, and where it goes on.

use crate::{Chain, Options, Rule, SetName, Statement};

use super::conditions::FromPods;
use super::{
    CLUSTER_IP, ENDPOINTS, EXTERNAL, EXTERNAL_LOCAL, LOCAL_ENDPOINTS, LOCAL_NODE_PORT_ENDPOINTS,
    NODE_PORT, NODE_PORT_ENDPOINTS, NODE_PORT_LOCAL, chain, in_set, join, rule,
};

/// The chains of ClusterIPs, of addresses of load balancers and external ones, and of node ports.
pub(super) fn frontend_chains(options: &Options, from_pods: Option<&FromPods>) -> [Chain; 5] {
    let local = |all, local| local_policy_rules(options, from_pods, all, local);
    let external = |policy, local, all| external_rules(options, policy, local, all);
    let node_port_policy = SetName::LocalPolicyNodePorts;
    [
        (CLUSTER_IP, cluster_ip_rules(options, from_pods)),
        (EXTERNAL_LOCAL, local(ENDPOINTS, LOCAL_ENDPOINTS)),
        (
            EXTERNAL,
            external(SetName::LocalPolicy, EXTERNAL_LOCAL, ENDPOINTS),
        ),
        (
            NODE_PORT_LOCAL,
            local(NODE_PORT_ENDPOINTS, LOCAL_NODE_PORT_ENDPOINTS),
        ),
        (
            NODE_PORT,
            external(node_port_policy, NODE_PORT_LOCAL, NODE_PORT_ENDPOINTS),
        ),
    ]
    .map(|(name, rules)| chain(name, None, rules))
}

/// Traffic for no Service leaves after three look-ups.
pub(super) fn service_rules(on_node_ports: &[Vec<Statement>], unknown: Option<Rule>) -> Vec<Rule> {
    let mut rules = Vec::from_iter(unknown);
    rules.extend([
        rule(
            "",
            [in_set(SetName::ClusterIps), Statement::Goto(CLUSTER_IP)],
        ),
        rule(
            "",
            [
                in_set(SetName::ExternalAddresses),
                Statement::Goto(EXTERNAL),
            ],
        ),
    ]);
    rules.extend(on_node_ports.iter().map(|address| {
        let end = Statement::Goto(NODE_PORT);
        rule("", join(in_set(SetName::NodePorts), address, end))
    }));
    rules
}

fn cluster_ip_rules(options: &Options, from_pods: Option<&FromPods>) -> Vec<Rule> {
    let mark = Statement::SetMark(options.mark);
    let mut rules = Vec::new();
    if options.masquerade_all {
        rules.push(rule("masquerade all", [mark]));
    } else if let Some(pods) = from_pods {
        let mut statements = pods.none();
        statements.push(mark);
        rules.push(rule("not from a pod: masquerade", statements));
    }
    rules.push(rule("", [Statement::Goto(ENDPOINTS)]));
    rules
}

/// Under the policy `Cluster` every node serves every endpoint, so replies must come back through
/// this one.
fn external_rules(
    options: &Options,
    local_policy: SetName,
    local: &'static str,
    endpoints: &'static str,
) -> Vec<Rule> {
    vec![
        rule("", [in_set(local_policy), Statement::Goto(local)]),
        rule("masquerade", [Statement::SetMark(options.mark)]),
        rule("", [Statement::Goto(endpoints)]),
    ]
}

/// The policy `Local` is about clients outside: what is on this node may use every endpoint, as if
/// it had asked for the ClusterIP.
fn local_policy_rules(
    options: &Options,
    from_pods: Option<&FromPods>,
    endpoints: &'static str,
    local_endpoints: &'static str,
) -> Vec<Rule> {
    let pods = from_pods.map(FromPods::any).unwrap_or_default();
    let mut rules: Vec<_> = pods
        .into_iter()
        .map(|pod| rule("a pod of ours", [pod, Statement::Goto(endpoints)]))
        .collect();
    let mark = Statement::SetMark(options.mark);
    let from_node = [Statement::SourceIsLocal, mark, Statement::Goto(endpoints)];
    rules.push(rule("the node itself: masquerade", from_node));
    rules.push(rule("", [Statement::Goto(local_endpoints)]));
    rules
}
