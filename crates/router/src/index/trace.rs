//! Everything that was in question for a request, for who asks why.

use fairway_model::{HostPattern, HostRoutes, Rule};

use super::condition::Unmet;
use super::precedence::Precedence;
use super::table::{Candidate, HostTable};
use super::{Fields, Index, Request, Route};
use crate::Host;

pub use super::precedence::Advantage;

/// Everything that was in question for a request.
#[derive(Debug)]
pub struct Trace<'a> {
    /// The entry that the host uses; what it has no route for is not looked for elsewhere.
    pub routes: &'a HostRoutes,
    /// The rules whose path matches, best first.
    pub considered: Vec<Considered<'a>>,
    /// What answers where none of them does.
    pub default: Option<&'a Route>,
}

/// A rule whose path matches.
#[derive(Debug)]
pub struct Considered<'a> {
    /// As it is compiled.
    pub route: &'a Route,
    /// As it is declared.
    pub rule: Option<&'a Rule>,
    /// What else it asks for and the request has not; none where it could answer.
    pub unmet: Option<Unmet>,
    precedence: Precedence,
}

impl<'a> Trace<'a> {
    /// The answer: the first rule that asks for nothing that is missing, else the default.
    pub fn chosen(&self) -> Option<&'a Route> {
        let found = self.considered.iter().find(|it| it.unmet.is_none());
        found.map(|it| it.route).or(self.default)
    }
}

impl Considered<'_> {
    /// Why this one comes before the other.
    pub fn advantage_over(&self, other: &Self) -> Advantage {
        self.precedence.advantage_over(other.precedence)
    }
}

impl Index {
    /// How [`Index::find_with`] comes to its answer; None where no entry is for the host.
    pub fn trace(&self, request: Request<'_>, fields: &dyn Fields) -> Option<Trace<'_>> {
        let table = self.table_for(request.host)?;
        let path = &*request.path.matched;
        let considered = table.candidates(path).map(|candidate| {
            let Candidate {
                precedence,
                conditions,
                route,
            } = candidate;
            let mut rules = table.source.rules.iter();
            Considered {
                route,
                rule: rules.find(|rule| {
                    rule.id == route.id
                        && *rule.matches.path.as_str() == route.path
                        && conditions.are_of(&rule.matches)
                }),
                unmet: conditions.unmet(request.method, fields),
                precedence: *precedence,
            }
        });
        Some(Trace {
            routes: &table.source,
            considered: considered.collect(),
            default: table.default.as_ref(),
        })
    }

    /// Every entry that a host could use, the one that it does first.
    pub fn entries_for(&self, host: &Host) -> Vec<HostPattern> {
        let (name, any) = (host.as_str(), self.any.as_ref());
        let exact = name.and_then(|name| Some(self.exact.get_key_value(name)?.0.clone()));
        let mut entries: Vec<_> = exact.map(HostPattern::Exact).into_iter().collect();
        entries.extend(name.into_iter().flat_map(|name| self.wildcards_for(name)));
        entries.extend(any.map(|_| HostPattern::Any));
        entries
    }
}

impl HostTable {
    /// All rules whose path matches, in the order in which [`HostTable::find`] asks them.
    fn candidates(&self, path: &str) -> impl Iterator<Item = &Candidate> {
        let regexes = self.regexes_of(path);
        self.exact(path)
            .chain(regexes)
            .chain(self.prefixes_of(path))
    }
}
