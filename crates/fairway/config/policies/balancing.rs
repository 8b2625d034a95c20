//! `upstream.balancing`: which endpoint is asked.

use fairway_model::{HashKey, LoadBalancing};
use serde::{Deserialize, Deserializer};

use super::text;

/// Written `leastRequests`, or `{consistentHash: {header: X-User}}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum BalancingDocument {
    RoundRobin,
    LeastRequests,
    PeakEwma,
    ConsistentHash(KeyDocument),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum KeyDocument {
    Header(#[serde(deserialize_with = "header")] String),
    Cookie(#[serde(deserialize_with = "cookie")] String),
    SourceAddress,
    Uri,
}

impl From<BalancingDocument> for LoadBalancing {
    fn from(document: BalancingDocument) -> Self {
        match document {
            BalancingDocument::RoundRobin => Self::RoundRobin,
            BalancingDocument::LeastRequests => Self::LeastRequests,
            BalancingDocument::PeakEwma => Self::PeakEwma,
            BalancingDocument::ConsistentHash(key) => Self::ConsistentHash(match key {
                KeyDocument::Header(name) => HashKey::Header(name.into()),
                KeyDocument::Cookie(name) => HashKey::Cookie(name.into()),
                KeyDocument::SourceAddress => HashKey::SourceAddress,
                KeyDocument::Uri => HashKey::Uri,
            }),
        }
    }
}

fn header<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = text::required(deserializer, token)?;
    Ok(name.to_ascii_lowercase())
}

fn cookie<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text::required(deserializer, token)
}

/// What names of headers and cookies are made of (RFC 9110 section 5.6.2).
fn token(text: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_token) {
        true => Ok(text.to_owned()),
        false => Err("expected a name of letters, digits and hyphens".to_owned()),
    }
}
