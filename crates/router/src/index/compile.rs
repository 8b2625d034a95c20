use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::{
    Action, Backend, Filter, HostPattern, HostRoutes, PathMatch, PathRewrite, Rule, ServiceMap,
};
use regex::bytes::Regex;

use super::condition::{Conditions, regex_from_start};
use super::precedence::{PathPrecedence, Precedence};
use super::table::{
    Candidate, Candidates, ExactPath, HostTable, PrefixPath, common_elements, compare_elements,
    sort_best_first,
};
use super::{Problem, Route, RuleError, Target};
use crate::Rewrite;
use crate::path::interpret_rule_path;
use crate::upstream::{Upstream, UpstreamKey, Upstreams};

/// The answer where every backend has weight 0: there is nobody to ask.
const NO_BACKEND: u16 = 503;

/// Compiles the routes of one host; the table holds each of its upstreams once in the registry.
pub(crate) fn compile(
    host: &HostPattern,
    routes: &Arc<HostRoutes>,
    services: &ServiceMap,
    registry: &mut Upstreams,
) -> (HostTable, Vec<Problem>) {
    let mut compiler = Compiler {
        host,
        services,
        registry,
        upstreams: BTreeMap::new(),
    };
    let mut paths = Paths::default();
    let mut problems = Vec::new();
    let problem = |rule: &Rule, error| Problem {
        rule: rule.id.clone(),
        host: host.clone(),
        error,
    };
    for rule in &routes.rules {
        match compiler.candidate(rule) {
            Ok((path, candidate)) => paths.add(path, candidate),
            Err(error) => problems.push(problem(rule, error)),
        }
    }
    let default = routes.default.as_ref().and_then(|rule| {
        let route = compiler.route(rule);
        route
            .map_err(|error| problems.push(problem(rule, error)))
            .ok()
    });
    let upstreams = compiler.upstreams.into_values().collect();
    let table = paths.into_table(routes.clone(), upstreams, default);
    (table, problems)
}

struct Compiler<'a> {
    host: &'a HostPattern,
    services: &'a ServiceMap,
    registry: &'a mut Upstreams,
    /// Those of this host.
    upstreams: BTreeMap<UpstreamKey, Arc<Upstream>>,
}

impl Compiler<'_> {
    fn candidate(&mut self, rule: &Rule) -> Result<(PathPattern, Candidate), RuleError> {
        let path = PathPattern::compile(&rule.matches.path)?;
        let conditions = Conditions::compile(&rule.matches)?;
        let candidate = Candidate {
            precedence: Precedence::new(path.precedence(), &rule.matches),
            conditions,
            route: self.route(rule)?,
        };
        Ok((path, candidate))
    }

    fn route(&mut self, rule: &Rule) -> Result<Route, RuleError> {
        let compile = |rewrite| Rewrite::compile(rewrite, &rule.matches.path);
        Ok(Route {
            id: rule.id.clone(),
            host: self.host.clone(),
            path: rule.matches.path.as_str().clone(),
            filters: rule.filters.clone(),
            rewrite: rewrite(rule).map(compile).transpose()?,
            target: match &rule.action {
                Action::Forward(backends) => self.forward(backends),
                Action::Redirect(redirect) => Target::Redirect(redirect.clone()),
                Action::Respond(status) => Target::Respond(*status),
            },
            policy: rule.policy.clone(),
            requests: rule.requests.clone(),
        })
    }

    fn forward(&mut self, backends: &[Backend]) -> Target {
        let used = backends.iter().filter(|backend| backend.weight > 0);
        let weighted: Vec<_> = used
            .map(|backend| (backend.weight, self.upstream(backend)))
            .collect();
        if weighted.is_empty() {
            return Target::Respond(NO_BACKEND);
        }
        Target::Forward(weighted)
    }

    fn upstream(&mut self, backend: &Backend) -> Arc<Upstream> {
        let key = UpstreamKey {
            service: backend.service.clone(),
            port: backend.port.clone(),
        };
        let upstream = self
            .upstreams
            .entry(key)
            .or_insert_with_key(|key| self.registry.acquire(key.clone(), self.services));
        upstream.clone()
    }
}

/// What the path of a request is rewritten by.
fn rewrite(rule: &Rule) -> Option<&PathRewrite> {
    if let Action::Redirect(redirect) = &rule.action {
        return redirect.path.as_ref();
    }
    let mut rewrites = rule.filters.iter().filter_map(|filter| match filter {
        Filter::RewritePath(rewrite) => Some(rewrite),
        _ => None,
    });
    rewrites.next_back()
}

/// The path of a rule in the form in which it is looked up.
pub(super) enum PathPattern {
    Exact(String),
    Prefix(String),
    Regex(Regex),
}

impl PathPattern {
    pub(super) fn compile(path: &PathMatch) -> Result<Self, RuleError> {
        let literal = |path: &str| interpret_rule_path(path).map_err(|_| RuleError::path(path));
        Ok(match path {
            PathMatch::Exact(path) => Self::Exact(literal(path)?),
            PathMatch::Prefix(path) => Self::Prefix(literal(path)?),
            PathMatch::Regex(pattern) => Self::Regex(regex_from_start(pattern)?),
        })
    }

    fn precedence(&self) -> PathPrecedence {
        match self {
            Self::Exact(_) => PathPrecedence::Exact,
            Self::Prefix(path) => PathPrecedence::Prefix(path.len()),
            Self::Regex(regex) => PathPrecedence::Regex(regex.as_str().len()),
        }
    }
}

/// Candidates by path, in the order of their rules.
#[derive(Default)]
struct Paths {
    exact: BTreeMap<String, Vec<Candidate>>,
    regexes: Vec<(Regex, Candidate)>,
    prefixes: BTreeMap<String, Vec<Candidate>>,
}

impl Paths {
    fn add(&mut self, path: PathPattern, candidate: Candidate) {
        match path {
            PathPattern::Exact(path) => self.exact.entry(path).or_default().push(candidate),
            PathPattern::Regex(regex) => self.regexes.push((regex, candidate)),
            PathPattern::Prefix(mut path) => {
                path.truncate(path.trim_end_matches('/').len());
                self.prefixes.entry(path).or_default().push(candidate);
            }
        }
    }

    fn into_table(
        mut self,
        source: Arc<HostRoutes>,
        upstreams: Box<[Arc<Upstream>]>,
        default: Option<Route>,
    ) -> HostTable {
        sort_best_first(&mut self.regexes, |(_, candidate)| candidate.precedence);
        let exact = self.exact.into_iter().map(|(path, candidates)| ExactPath {
            path: path.into(),
            candidates: Candidates::new(candidates),
        });
        HostTable {
            source,
            upstreams,
            exact: exact.collect(),
            regexes: self.regexes.into(),
            prefixes: link_prefixes(self.prefixes).into(),
            default,
        }
    }
}

/// Sorts prefixes by elements and gives each the longest one that encloses it.
fn link_prefixes(prefixes: BTreeMap<String, Vec<Candidate>>) -> Vec<PrefixPath> {
    let mut sorted: Vec<_> = prefixes.into_iter().collect();
    sorted.sort_by(|(left, _), (right, _)| compare_elements(left, right));

    let mut linked: Vec<PrefixPath> = Vec::with_capacity(sorted.len());
    for (path, candidates) in sorted {
        // In this order, what encloses an entry also is or encloses the entry before it.
        let mut enclosing = linked.len().checked_sub(1);
        while let Some(at) = enclosing
            && common_elements(&linked[at].path, &path) < linked[at].path.len()
        {
            enclosing = linked[at].enclosing;
        }
        linked.push(PrefixPath {
            path: path.into(),
            enclosing,
            candidates: Candidates::new(candidates),
        });
    }
    linked
}
