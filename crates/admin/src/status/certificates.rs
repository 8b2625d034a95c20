use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::overview::from_seconds;
use super::query::Query;
use super::{ShownCertificate, Status};

/// A certificate that is shown.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    /// `*` for hosts that have none of their own.
    host: String,
    secret: String,
    not_after: String,
    /// Negative for one that is over.
    days_left: i64,
}

pub(super) fn found<'a>(
    status: &'a Status,
    query: &'a Query,
) -> impl Iterator<Item = &'a ShownCertificate> {
    status.certificates.iter().filter(|certificate| {
        let secret = &certificate.secret;
        let host = certificate.host.as_deref().unwrap_or("default");
        query.finds([host, &secret.namespace, &secret.name])
    })
}

impl Item {
    pub(super) fn new(certificate: &ShownCertificate, now: SystemTime) -> Self {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left = certificate
            .not_after
            .saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
        let default = || "all others (default)".to_owned();
        Self {
            host: certificate.host.clone().unwrap_or_else(default),
            secret: certificate.secret.to_string(),
            not_after: from_seconds(certificate.not_after),
            days_left: left.div_euclid(24 * 60 * 60),
        }
    }
}
