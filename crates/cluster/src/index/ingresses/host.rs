use std::collections::{BTreeMap, HashMap};
use std::fmt;

use fairway_model::{
    Action, Backend, HostPattern, HostRoutes, MatchedPaths, ObjectName, ObjectRef, RequestMatch,
    Rule, RuleId, ServiceMap,
};

use crate::convert::ingress::{HostPart, Ingress};
use crate::problem::{Problem, Quoted, Reason, Report};

/// What one Ingress wants of one host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    part: &'a HostPart,
    default: Option<&'a Rule>,
}

impl<'a> Claim<'a> {
    pub(super) fn new(host: &HostPattern, ingress: &'a Ingress) -> Option<Self> {
        Some(Self {
            part: ingress.host(host)?,
            default: ingress.default.as_ref(),
        })
    }
}

/// What each Ingress did not get, by Ingress.
pub(super) type Lost = BTreeMap<ObjectName, Vec<Problem>>;

/// Merges the claims on a host, given oldest first: paths add up, and whatever two ask for goes to
/// the older. Of default backends one that exists is preferred: the catch-all of a namespace that is
/// being deleted may outlive its Service. None when nobody asks for the host.
pub(super) fn merge<'a>(
    host: &HostPattern,
    claims: impl Iterator<Item = (&'a ObjectName, Claim<'a>)>,
    default_backend: Option<&Backend>,
    services: &ServiceMap,
) -> (Option<HostRoutes>, Lost) {
    let mut routes = HostRoutes::default();
    let mut taken: HashMap<MatchedPaths<'_>, Takers<'_>> = HashMap::new();
    let mut lost = Losses::default();
    // The controller's own default backend makes every host known.
    let mut known = *host == HostPattern::Any && default_backend.is_some();
    let mut defaults: Vec<(&ObjectName, &Rule)> = Vec::new();
    let mut tls_from = None;
    for (name, claim) in claims {
        known = true;
        for rule in &claim.part.rules {
            let path = rule.matches.path.as_str();
            let takers = taken.entry(rule.matches.path.matched()).or_default();
            if let Some(winner) = takers.before(path, &rule.id) {
                lost.add(
                    name,
                    Reason::PathConflict,
                    &rule.id.field,
                    format_args!(
                        "{host} {} is already served by {} ({}); the oldest keeps it",
                        Quoted(path),
                        winner.object,
                        winner.field
                    ),
                );
            } else {
                takers.add(path, &rule.id);
                routes.rules.push(rule.clone());
            }
        }
        defaults.extend(claim.default.map(|default| (name, default)));
        // Who only happens to have certificates does not keep one from who lists the host.
        if let Some(tls) = &claim.part.tls
            && (tls.lists_host() || routes.tls.is_none())
        {
            let winner = *tls_from.get_or_insert(name);
            let current = routes.tls.get_or_insert_with(|| tls.clone());
            if tls.lists_host() && !current.lists_host() {
                *current = tls.clone();
                tls_from = Some(name);
            } else if current != tls {
                lost.add(
                    name,
                    Reason::HostConflict,
                    "spec.tls",
                    format_args!(
                        "{host} has the certificate of Ingress {winner}; the oldest keeps it"
                    ),
                );
            }
        }
    }
    let existing = defaults.iter().find(|(_, rule)| exists(rule, services));
    if let Some((winner, used)) = existing.or(defaults.first()) {
        for (name, _) in defaults
            .iter()
            .filter(|(_, rule)| rule.action != used.action)
        {
            lost.add(
                name,
                Reason::HostConflict,
                "spec.defaultBackend",
                format_args!(
                    "{host} has that of Ingress {winner}; the oldest whose Service exists keeps it"
                ),
            );
        }
        routes.default = Some(Rule::clone(used));
    } else {
        routes.default = default_backend.map(default_rule);
    }
    routes.rules.shrink_to_fit();
    (known.then_some(routes), lost.finish())
}

/// Who asked first for the same requests, without and with a slash at the end. One Ingress may have both: the router
/// prefers the longer one.
#[derive(Default)]
struct Takers<'a>([Option<&'a RuleId>; 2]);

impl<'a> Takers<'a> {
    /// The rule that has what this one asks for.
    fn before(&self, path: &str, rule: &RuleId) -> Option<&'a RuleId> {
        let at = usize::from(path.ends_with('/'));
        let same = self.0[at];
        same.or(self.0[1 - at].filter(|other| other.object != rule.object))
    }

    fn add(&mut self, path: &str, rule: &'a RuleId) {
        self.0[usize::from(path.ends_with('/'))] = Some(rule);
    }
}

/// Reports to those who did not get what they asked for.
#[derive(Default)]
struct Losses<'a>(BTreeMap<&'a ObjectName, Report>);

impl<'a> Losses<'a> {
    fn add(
        &mut self,
        name: &'a ObjectName,
        reason: Reason,
        field: &str,
        message: fmt::Arguments<'_>,
    ) {
        let report = self.0.entry(name);
        let report = report.or_insert_with(|| Report::new("Ingress", name.clone()));
        report.add(reason, field, message);
    }

    fn finish(self) -> Lost {
        let reports = self.0.into_iter();
        reports
            .map(|(name, report)| (name.clone(), report.finish()))
            .collect()
    }
}

fn exists(rule: &Rule, services: &ServiceMap) -> bool {
    match &rule.action {
        Action::Forward(backends) => backends
            .iter()
            .any(|backend| services.contains_key(&backend.service)),
        _ => true,
    }
}

fn default_rule(backend: &Backend) -> Rule {
    let id = RuleId {
        object: ObjectRef {
            kind: "Service",
            name: backend.service.clone(),
        },
        field: "default backend".into(),
    };
    Rule::new(
        id,
        RequestMatch::any(),
        Action::Forward(vec![backend.clone()]),
    )
}
