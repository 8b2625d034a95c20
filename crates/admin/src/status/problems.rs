use serde::Serialize;

use super::query::Query;
use super::{ReportedProblem, Status};

/// What an object does not get.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    object: String,
    field: String,
    reason: &'static str,
    message: String,
}

pub(super) fn found<'a>(
    status: &'a Status,
    query: &'a Query,
) -> impl Iterator<Item = &'a ReportedProblem> {
    status.problems.iter().filter(|problem| {
        query.finds([
            &*problem.object,
            &problem.field,
            problem.reason,
            &problem.message,
        ])
    })
}

impl Item {
    pub(super) fn new(problem: &ReportedProblem) -> Self {
        Self {
            object: problem.object.clone(),
            field: problem.field.clone(),
            reason: problem.reason,
            message: problem.message.clone(),
        }
    }
}
