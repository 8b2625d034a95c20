use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::{HostPattern, ObjectName};

use crate::Kind;
use crate::news::News;
use crate::problem::{Problem, ProblemMetrics};

/// The current problems, by what they depend on.
#[derive(Debug, Default)]
pub(super) struct Problems {
    by_aspect: BTreeMap<Aspect, Vec<Problem>>,
    metrics: ProblemMetrics,
    news: Vec<News>,
}

/// What a list of problems depends on: it is replaced as a whole when that changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    /// The object by itself.
    Object(Kind, ObjectName),
    /// The Services that an Ingress names.
    Backends(ObjectName),
    /// The Services that policies name for a host.
    PolicyBackends(HostPattern),
    /// The Service that answers for all of them.
    DefaultBackend,
    /// The other Ingresses on a host.
    Conflicts(ObjectName, HostPattern),
    /// The IngressClass an Ingress names.
    Class(ObjectName),
    /// The certificate that a host is to show.
    Certificate(HostPattern),
    /// Where hosts outside of the cluster are.
    ExternalHosts,
    /// A part of the source, for example a file.
    Source(Arc<str>),
}

impl Problems {
    /// Counted in `metrics` from now on.
    pub(super) fn counted(metrics: ProblemMetrics) -> Self {
        Self {
            metrics,
            ..Self::default()
        }
    }

    /// Replaces a list, counts it and logs what is new in it.
    pub(super) fn set(&mut self, aspect: Aspect, problems: Vec<Problem>) {
        if problems.is_empty() {
            let old = self.by_aspect.remove(&aspect).unwrap_or_default();
            self.metrics.replaced(&old, &[]);
            self.news.extend(over(&old, &[]));
            return;
        }
        let old = self.by_aspect.entry(aspect).or_default();
        for problem in problems.iter().filter(|problem| !old.contains(problem)) {
            tracing::warn!(reason = problem.reason.as_str(), "{problem}");
            self.news.push(News::Problem(problem.clone()));
        }
        self.metrics.replaced(old, &problems);
        self.news.extend(over(old, &problems));
        *old = problems;
    }

    /// What was new since this was last asked for.
    pub(super) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// What depends on this aspect.
    pub(super) fn of(&self, aspect: &Aspect) -> &[Problem] {
        self.by_aspect.get(aspect).map_or(&[], Vec::as_slice)
    }

    /// Sorted by object.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Problem> {
        let mut problems: Vec<&Problem> = self.by_aspect.values().flatten().collect();
        problems.sort_by(|a, b| (&a.object, &a.field).cmp(&(&b.object, &b.field)));
        problems.into_iter()
    }
}

/// Those of `before` that are not there `now`, as far as anybody waits for that.
fn over(before: &[Problem], now: &[Problem]) -> impl Iterator<Item = News> {
    let over = before
        .iter()
        .filter(|problem| problem.reason.may_pass() && !now.contains(problem));
    over.cloned().map(News::Over)
}
