//! `upstream`: how endpoints are spoken to.

use std::time::Duration;

use fairway_model::{UpstreamProtocol, UpstreamSettings};
use serde::{Deserialize, Deserializer};

use super::balancing::BalancingDocument;
use super::resilience::{EjectionDocument, LimitsDocument, RetriesDocument};
use super::text;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct UpstreamDocument {
    #[serde(deserialize_with = "protocol")]
    protocol: Option<UpstreamProtocol>,
    #[serde(deserialize_with = "text::limit")]
    connect_timeout: Option<Duration>,
    #[serde(deserialize_with = "text::limit_or_none")]
    read_timeout: Option<Duration>,
    #[serde(deserialize_with = "text::limit_or_none")]
    write_timeout: Option<Duration>,
    balancing: Option<BalancingDocument>,
    retries: RetriesDocument,
    ejection: EjectionDocument,
    limits: LimitsDocument,
}

impl From<UpstreamDocument> for UpstreamSettings {
    fn from(document: UpstreamDocument) -> Self {
        let UpstreamDocument {
            protocol,
            connect_timeout,
            read_timeout,
            write_timeout,
            balancing,
            retries,
            ejection,
            limits,
        } = document;
        Self {
            protocol,
            connect_timeout,
            read_timeout,
            write_timeout,
            balancing: balancing.map(Into::into),
            retry: retries.into(),
            ejection: ejection.into(),
            limits: limits.into(),
        }
    }
}

fn protocol<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<UpstreamProtocol>, D::Error> {
    text::parsed(deserializer, |text| {
        Ok(match text {
            "http" => UpstreamProtocol::Http1,
            "https" => UpstreamProtocol::Https,
            "h2c" | "grpc" => UpstreamProtocol::Http2,
            "h2" | "grpcs" => UpstreamProtocol::Http2Tls,
            _ => return Err("expected http, https, h2c, h2, grpc or grpcs".to_owned()),
        })
    })
}
