use crate::{Absent, Api, Facts, Finding, Forbidden};

/// Certificates and tokens are judged by the clock.
const NOTICEABLE: u64 = 5;
const HARMFUL: u64 = 60;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(api) = &facts.api else {
        return Vec::new();
    };
    let Api {
        version,
        ahead,
        forbidden,
        absent,
        unknown_node,
    } = match api {
        Ok(api) => api,
        Err(error) => {
            return vec![Finding::fault(
                "API server",
                error.clone(),
                "fairway learns of no change; what it has programmed stays",
                "check the address and the credentials in the kubeconfig, and the firewall between",
            )];
        }
    };
    let mut findings = vec![Finding::ok(
        "API server",
        format!("answers, version {version}"),
    )];
    findings.extend(forbidden.iter().map(of_forbidden));
    findings.extend(absent.iter().map(of_absent));
    findings.extend(unknown_node.iter().map(|name| of_unknown_node(name)));
    let Some(ahead) = ahead else {
        return findings;
    };
    let off = ahead.unsigned_abs();
    let word = if *ahead < 0 { "behind" } else { "ahead of" };
    let found = format!("this node is {off} s {word} the API server");
    let fix = "synchronise the clock: chrony or systemd-timesyncd";
    findings.push(match off {
        HARMFUL.. => Finding::fault(
            "clock",
            found,
            "certificates and tokens count as expired, or as not valid yet",
            fix,
        ),
        NOTICEABLE.. => Finding::warning("clock", found, "logs and ages of objects mislead", fix),
        _ => Finding::ok("clock", "agrees with the API server's"),
    });
    findings
}

fn of_absent(absent: &Absent) -> Finding {
    let found = format!("this API server has no {}", absent.kind);
    match absent.optional {
        true => Finding::ok("API server", format!("{found}: {}", absent.without)),
        false => Finding::fault(
            "API server",
            found,
            absent.without,
            "fairway needs Kubernetes 1.29 or later",
        ),
    }
}

fn of_unknown_node(name: &str) -> Finding {
    Finding::fault(
        "Node",
        format!("there is no Node \"{name}\""),
        "/healthz says 503, and node ports have no addresses",
        "give fairway the name that kubectl get nodes shows: --hostname-override, here --node-name",
    )
}

fn of_forbidden(forbidden: &Forbidden) -> Finding {
    let Forbidden {
        group,
        resource,
        denied,
        verbs,
        without,
        optional,
    } = forbidden;
    let denied = denied.join(", ");
    let found = match (group.as_str(), resource.split_once('/')) {
        ("", _) => format!("not allowed to {denied} {resource}"),
        (group, None) => format!("not allowed to {denied} {resource}.{group}"),
        (group, Some((kind, part))) => format!("not allowed to {denied} {kind}.{group}/{part}"),
    };
    let fix = format!(
        "let fairway's roles have the rule {{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: {verbs:?}}}, \
         or ask with the credentials that fairway has"
    );
    match optional {
        true => Finding::warning("RBAC", found, *without, fix),
        false => Finding::fault("RBAC", found, *without, fix),
    }
}
