use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::ask::StatusFeed;
use super::document::Document;
use super::page;
use super::query::Query;
use crate::server::{Asked, Body, plain_text, respond};
use crate::{Health, Moment};

const PAGE: &str = "/status";
const JSON: &str = "/status.json";

/// The status page and its data.
#[derive(Clone, Debug)]
pub(crate) struct StatusSite {
    feed: StatusFeed,
    health: Health,
}

impl StatusSite {
    pub(crate) fn new(feed: StatusFeed, health: Health) -> Self {
        Self { feed, health }
    }

    pub(crate) async fn refresh(&self, path: &str) {
        if path == JSON {
            self.feed.refresh().await;
        }
    }

    /// None for paths that are none of the two.
    pub(crate) fn answer(&self, asked: &Asked<'_>) -> Option<Response<Body>> {
        let is_page = match asked.path {
            PAGE => true,
            JSON => false,
            _ => return None,
        };
        if !is_ours(asked.host) {
            // The browser of somebody who has a port forwarded, on a foreign page whose name leads here.
            return Some(plain_text(
                StatusCode::FORBIDDEN,
                "ask by an IP address or as localhost: names may be anybody's\n",
            ));
        }
        Some(match is_page {
            true => page::page(),
            false => self.json(asked.query),
        })
    }

    fn json(&self, query: &str) -> Response<Body> {
        let Some(query) = Query::parse(query) else {
            let usage =
                "view=overview|services|routes|certificates|problems, filter, offset, limit\n";
            return plain_text(StatusCode::BAD_REQUEST, usage);
        };
        let Some(status) = self.feed.last() else {
            return plain_text(StatusCode::SERVICE_UNAVAILABLE, "no complete state yet\n");
        };
        let health = self.health.report(Moment::now());
        let document = Document::new(&status, &health, &query, SystemTime::now());
        let text = serde_json::to_vec(&document).expect("texts and numbers are always JSON");
        let mut response = respond(StatusCode::OK, "application/json", Bytes::from(text));
        page::protect(&mut response);
        response
    }
}

/// Whether a browser that sends this cannot have been led here by a name of somebody else's.
fn is_ours(host: Option<&str>) -> bool {
    // HTTP/1.0, so no browser.
    let Some(host) = host else {
        return true;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}
