//! What Ingresses ask for a host and do not get.

use fairway_model::{ClassStanding, IngressClaim, Rule};

use fairway_router::Considered;

use crate::{Refused, World, rules};

/// What Ingresses ask for the hosts in question and do not get, oldest first: of rules that others keep
/// out, those whose path matches the request.
pub(crate) fn refused(world: &World, considered: &[Considered<'_>]) -> Vec<Refused> {
    let mut refused = Vec::new();
    for claim in &world.claims {
        match why_not_ours(claim) {
            Some(why) => refused.extend(whole(claim, &why)),
            None => refused.extend(
                claim
                    .rules
                    .iter()
                    .filter_map(|rule| lost(world, claim, rule, considered)),
            ),
        }
    }
    refused
}

/// An Ingress of which nothing is served.
fn whole(claim: &IngressClaim, why: &str) -> Vec<Refused> {
    let rules = claim.rules.iter().chain(&claim.default);
    rules
        .map(|rule| Refused {
            object: format!("Ingress {}", claim.name),
            field: rule.id.field.to_string(),
            wants: format!("{} {}", claim.host, rules::path(&rule.matches.path)),
            why: why.to_owned(),
        })
        .collect()
}

fn why_not_ours(claim: &IngressClaim) -> Option<String> {
    Some(match &claim.class {
        ClassStanding::Ours => return None,
        ClassStanding::Other(class) => {
            format!("not ours: its class {class} is another controller's")
        }
        ClassStanding::Missing(class) => format!("not ours: there is no IngressClass {class}"),
        ClassStanding::None => {
            "not ours: it names no class (--watch-ingress-without-class would serve it)".to_owned()
        }
    })
}

/// A rule that another one of the same host and path keeps out.
fn lost(
    world: &World,
    claim: &IngressClaim,
    rule: &Rule,
    considered: &[Considered<'_>],
) -> Option<Refused> {
    let routes = world.snapshot.routes.hosts.get(&claim.host)?;
    if routes.rules.iter().any(|it| it.id == rule.id) {
        return None;
    }
    let mut rules = routes.rules.iter();
    let winner = rules.find(|it| it.matches.path.matched() == rule.matches.path.matched());
    let matches = winner.is_none_or(|winner| {
        let mut considered = considered.iter();
        considered.any(|it| it.route.id == winner.id)
    });
    if !matches {
        return None;
    }
    let why = match winner.map(|winner| &winner.id) {
        Some(id) if id.object == rule.id.object => format!("{} has the same path", id.field),
        Some(id) => format!("{} has the same host and path, and is older", id.object),
        None => "it is left out".to_owned(),
    };
    Some(Refused {
        object: format!("Ingress {}", claim.name),
        field: rule.id.field.to_string(),
        wants: format!("{} {}", claim.host, rules::path(&rule.matches.path)),
        why,
    })
}
