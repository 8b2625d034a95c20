use std::cmp::Ordering;
use std::sync::Arc;

use fairway_model::HostRoutes;
use regex::bytes::Regex;

use super::condition::Conditions;
use super::precedence::Precedence;
use super::{Fields, Route};
use crate::Upstream;

/// The compiled routes of one host.
#[derive(Debug)]
pub(crate) struct HostTable {
    /// What it was compiled from.
    pub(crate) source: Arc<HostRoutes>,
    /// Each upstream that the routes forward to, once.
    pub(crate) upstreams: Box<[Arc<Upstream>]>,
    /// Sorted by path.
    pub(super) exact: Box<[ExactPath]>,
    /// Best first.
    pub(super) regexes: Box<[(Regex, Candidate)]>,
    /// Sorted by path elements, so that a prefix stands before all that extend it.
    pub(super) prefixes: Box<[PrefixPath]>,
    pub(super) default: Option<Route>,
}

#[derive(Debug)]
pub(super) struct ExactPath {
    pub(super) path: Box<str>,
    pub(super) candidates: Candidates,
}

#[derive(Debug)]
pub(super) struct PrefixPath {
    /// Without a slash at the end; empty for `/`.
    pub(super) path: Box<str>,
    /// Where the longest shorter prefix of this path stands.
    pub(super) enclosing: Option<usize>,
    pub(super) candidates: Candidates,
}

/// The routes of one path, best first.
#[derive(Debug)]
pub(super) struct Candidates(Box<[Candidate]>);

/// A route whose path matches; it is the answer if its other conditions hold.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) precedence: Precedence,
    pub(super) conditions: Conditions,
    pub(super) route: Route,
}

impl HostTable {
    /// The best route for a path in its matched form.
    pub(super) fn find(&self, path: &str, method: &str, fields: &dyn Fields) -> Option<&Route> {
        let holds = |candidate: &&Candidate| candidate.conditions.hold(method, fields);
        self.exact(path)
            .find(holds)
            .or_else(|| self.regexes_of(path).find(holds))
            .or_else(|| self.prefixes_of(path).find(holds))
            .map(|candidate| &candidate.route)
            .or(self.default.as_ref())
    }

    pub(super) fn regexes_of(&self, path: &str) -> impl Iterator<Item = &Candidate> {
        let matching = (self.regexes.iter()).filter(|(regex, _)| regex.is_match(path.as_bytes()));
        matching.map(|(_, candidate)| candidate)
    }

    pub(super) fn exact(&self, path: &str) -> impl Iterator<Item = &Candidate> {
        let found = self.exact.binary_search_by(|exact| (*exact.path).cmp(path));
        found
            .into_iter()
            .flat_map(|at| self.exact[at].candidates.iter())
    }

    /// All prefixes of a path, longest first.
    ///
    /// Between a prefix of the path and the path itself stand only extensions of that prefix. So the
    /// last entry that is not after the path either is its longest prefix or is enclosed by it.
    pub(super) fn prefixes_of(&self, path: &str) -> impl Iterator<Item = &Candidate> {
        let after =
            (self.prefixes).partition_point(|prefix| compare_elements(&prefix.path, path).is_le());
        let nearest = after.checked_sub(1).map(|at| &self.prefixes[at]);
        let common = nearest.map_or(0, |nearest| common_elements(&nearest.path, path));
        let enclosing = |prefix: &&PrefixPath| prefix.enclosing.map(|at| &self.prefixes[at]);
        std::iter::successors(nearest, enclosing)
            .skip_while(move |prefix| prefix.path.len() > common)
            .flat_map(|prefix| prefix.candidates.iter())
    }
}

impl Candidates {
    /// The order given decides between equals.
    pub(super) fn new(mut candidates: Vec<Candidate>) -> Self {
        sort_best_first(&mut candidates, |candidate| candidate.precedence);
        Self(candidates.into())
    }

    fn iter(&self) -> std::slice::Iter<'_, Candidate> {
        self.0.iter()
    }
}

/// Sorts by falling precedence; equals stay in the order they stand in.
pub(super) fn sort_best_first<T>(items: &mut [T], precedence: impl Fn(&T) -> Precedence) {
    items.sort_by_key(|item| std::cmp::Reverse(precedence(item)));
}

/// Compares paths element by element, which differs from comparing texts where an element contains a
/// character that sorts before `/`. No path contains a NUL.
pub(super) fn compare_elements(left: &str, right: &str) -> Ordering {
    let rank = |byte| if byte == b'/' { 0 } else { byte };
    left.bytes().map(rank).cmp(right.bytes().map(rank))
}

/// The length of the longest run of whole elements that both paths begin with.
pub(super) fn common_elements(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let same = left
        .iter()
        .zip(right)
        .take_while(|(left, right)| left == right)
        .count();
    let ends_element = |path: &[u8]| path.get(same).is_none_or(|&byte| byte == b'/');
    if ends_element(left) && ends_element(right) {
        return same;
    }
    left[..same]
        .iter()
        .rposition(|&byte| byte == b'/')
        .unwrap_or(0)
}
