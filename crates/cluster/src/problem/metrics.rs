use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Problem, Reason};

/// How many problems there are, and how many there have been, by kind of object and [`Reason`]. Neither
/// comes from an object, so that the number of series is bounded by the two enumerations.
#[derive(Clone, Debug, Default)]
pub struct ProblemMetrics {
    current: Family<Label, Gauge>,
    ever: Family<Label, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    kind: &'static str,
    reason: &'static str,
}

impl ProblemMetrics {
    /// Registers both families.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "fairway_object_problems",
            "What objects ask for and do not get right now",
            self.current.clone(),
        );
        // The encoder adds `_total`.
        registry.register(
            "fairway_object_problems",
            "Problems of objects since the start, each counted when it appeared",
            self.ever.clone(),
        );
    }

    /// Of `before` problems that objects of `kind` had for `reason`, `now` are left, and of these so many
    /// have `appeared`.
    pub fn changed(
        &self,
        kind: &'static str,
        reason: Reason,
        before: usize,
        now: usize,
        appeared: usize,
    ) {
        let label = Label {
            kind,
            reason: reason.as_str(),
        };
        let more =
            i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(i64::MAX);
        self.current.get_or_create(&label).inc_by(more);
        let appeared = u64::try_from(appeared).unwrap_or(u64::MAX);
        self.ever.get_or_create(&label).inc_by(appeared);
    }

    /// `now` takes the place of `before`; what is in both goes on.
    pub(crate) fn replaced(&self, before: &[Problem], now: &[Problem]) {
        for problem in now {
            let appeared = usize::from(!before.contains(problem));
            self.changed(problem.object.kind, problem.reason, 0, 1, appeared);
        }
        for problem in before {
            self.changed(problem.object.kind, problem.reason, 1, 0, 0);
        }
    }
}
