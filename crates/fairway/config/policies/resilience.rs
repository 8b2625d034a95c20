//! `upstream.retries`, `.ejection` and `.limits`: what is done about endpoints that fail or are full.

use std::time::Duration;

use fairway_model::{EjectionSettings, LimitSettings, RetryPolicy, RetrySettings};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::text;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RetriesDocument {
    #[serde(deserialize_with = "tries")]
    tries: Option<u8>,
    broken_connections: Option<bool>,
    timeouts: Option<bool>,
    #[serde(deserialize_with = "statuses")]
    statuses: Option<Vec<u16>>,
    #[serde(deserialize_with = "percent")]
    budget_percent: Option<u8>,
    budget_per_second: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct EjectionDocument {
    failures: Option<u32>,
    gateway_errors: Option<bool>,
    #[serde(deserialize_with = "text::limit")]
    time: Option<Duration>,
    #[serde(deserialize_with = "text::limit")]
    longest: Option<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct LimitsDocument {
    requests: Option<u32>,
    waiting: Option<u32>,
    #[serde(deserialize_with = "text::limit")]
    wait: Option<Duration>,
}

impl From<RetriesDocument> for RetrySettings {
    fn from(document: RetriesDocument) -> Self {
        let RetriesDocument {
            tries,
            broken_connections,
            timeouts,
            statuses,
            budget_percent,
            budget_per_second,
        } = document;
        Self {
            tries,
            broken_connections,
            timeouts,
            statuses,
            budget_percent,
            budget_per_second,
        }
    }
}

impl From<EjectionDocument> for EjectionSettings {
    fn from(document: EjectionDocument) -> Self {
        let EjectionDocument {
            failures,
            gateway_errors,
            time,
            longest,
        } = document;
        Self {
            failures,
            gateway_errors,
            time,
            longest,
        }
    }
}

impl From<LimitsDocument> for LimitSettings {
    fn from(document: LimitsDocument) -> Self {
        let LimitsDocument {
            requests,
            waiting,
            wait,
        } = document;
        Self {
            requests,
            waiting,
            wait,
        }
    }
}

fn tries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    const MOST: u8 = RetryPolicy::MOST_TRIES;
    match Option::deserialize(deserializer)? {
        Some(tries) if !(1..=MOST).contains(&tries) => {
            let expected = format_args!("'{tries}': expected 1 (no retries) to {MOST}");
            Err(D::Error::custom(expected))
        }
        tries => Ok(tries),
    }
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    match Option::deserialize(deserializer)? {
        Some(percent) if percent > 100 => Err(D::Error::custom(format_args!(
            "'{percent}': expected 0 to 100"
        ))),
        percent => Ok(percent),
    }
}

fn statuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u16>>, D::Error> {
    let statuses = Option::<Vec<u16>>::deserialize(deserializer)?;
    match statuses
        .iter()
        .flatten()
        .find(|it| !(400..=599).contains(*it))
    {
        Some(status) => Err(D::Error::custom(format_args!(
            "'{status}': expected statuses of errors, 400 to 599"
        ))),
        None => Ok(statuses),
    }
}
