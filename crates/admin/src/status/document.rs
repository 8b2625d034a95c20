use std::time::SystemTime;

use serde::Serialize;

use super::overview::Overview;
use super::query::{Query, View};
use super::{Status, certificates, problems, routes, services};
use crate::HealthReport;

/// Everything that one request is told.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    overview: Overview,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<List>,
}

/// Some items of a view.
#[derive(Debug, Serialize)]
struct List {
    /// How many there are that contain what is searched for.
    total: usize,
    /// How many stand before the first.
    offset: usize,
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Item {
    Service(services::Item),
    Route(routes::Item),
    Certificate(certificates::Item),
    Problem(problems::Item),
}

impl Document {
    pub(super) fn new(
        status: &Status,
        health: &HealthReport,
        query: &Query,
        now: SystemTime,
    ) -> Self {
        Self {
            overview: Overview::new(status, health, now),
            list: list(status, query, now),
        }
    }
}

fn list(status: &Status, query: &Query, now: SystemTime) -> Option<List> {
    let snapshot = &status.snapshot;
    Some(match query.view {
        View::Overview => return None,
        View::Services => page(services::found(snapshot, query), query, |service| {
            Item::Service(services::Item::new(service, status))
        }),
        View::Routes => {
            let traffic = routes::Traffic::new(&status.traffic);
            page(routes::found(snapshot, query), query, |route| {
                Item::Route(routes::Item::new(route, &traffic))
            })
        }
        View::Certificates => page(certificates::found(status, query), query, |certificate| {
            Item::Certificate(certificates::Item::new(certificate, now))
        }),
        View::Problems => page(problems::found(status, query), query, |problem| {
            Item::Problem(problems::Item::new(problem))
        }),
    })
}

/// Only what is shown is described.
fn page<T>(found: impl Iterator<Item = T>, query: &Query, describe: impl Fn(T) -> Item) -> List {
    let mut total = 0;
    let mut items = Vec::new();
    for found in found {
        if total >= query.offset && items.len() < query.limit {
            items.push(describe(found));
        }
        total += 1;
    }
    List {
        total,
        offset: query.offset,
        items,
    }
}
