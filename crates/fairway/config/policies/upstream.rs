//! `upstream`: how endpoints are spoken to.

use std::sync::Arc;
use std::time::Duration;

use fairway_model::{
    ObjectName, SecretRef, UpstreamAuthorities, UpstreamProtocol, UpstreamSettings,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName};
use serde::{Deserialize, Deserializer};

use super::balancing::BalancingDocument;
use super::resilience::{EjectionDocument, LimitsDocument, RetriesDocument};
use super::{Wrong, text};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct UpstreamDocument {
    #[serde(deserialize_with = "protocol")]
    protocol: Option<UpstreamProtocol>,
    tls: TlsDocument,
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

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct TlsDocument {
    #[serde(deserialize_with = "server_name")]
    server_name: Option<Arc<str>>,
    /// Certificates in PEM.
    #[serde(deserialize_with = "authorities")]
    authorities: Option<Arc<str>>,
    /// The Secret whose `ca.crt` holds them.
    #[serde(deserialize_with = "text::object")]
    authorities_secret: Option<ObjectName>,
    /// False takes back what a less specific policy says.
    verify: Option<bool>,
}

impl UpstreamDocument {
    pub(super) fn settings(self) -> Result<UpstreamSettings, Wrong> {
        let Self {
            protocol,
            tls,
            connect_timeout,
            read_timeout,
            write_timeout,
            balancing,
            retries,
            ejection,
            limits,
        } = self;
        Ok(UpstreamSettings {
            protocol,
            authorities: tls.authorities()?,
            server_name: tls.server_name,
            connect_timeout,
            read_timeout,
            write_timeout,
            balancing: balancing.map(Into::into),
            retry: retries.into(),
            ejection: ejection.into(),
            limits: limits.into(),
        })
    }
}

impl TlsDocument {
    fn authorities(&self) -> Result<Option<UpstreamAuthorities>, Wrong> {
        let wrong = |problem: &str| Err(("upstream.tls".to_owned(), problem.to_owned()));
        let (pem, secret) = (self.authorities.clone(), self.authorities_secret.clone());
        match (pem, secret, self.verify) {
            (Some(_), Some(_), _) => wrong("give it authorities or authoritiesSecret"),
            (None, None, Some(true)) => wrong("verify needs authorities or authoritiesSecret"),
            (None, None, None) => Ok(None),
            (_, _, Some(false)) => Ok(Some(UpstreamAuthorities::Any)),
            (Some(pem), _, _) => Ok(Some(UpstreamAuthorities::Pem(pem))),
            (_, Some(secret), _) => Ok(Some(UpstreamAuthorities::Secret(SecretRef(secret)))),
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

fn server_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    text::parsed(deserializer, |text| match DnsName::try_from(text) {
        Ok(_) => Ok(text.into()),
        Err(_) => Err("is no DNS name".to_owned()),
    })
}

fn authorities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    let Some(pem) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(Some(pem.into())),
        _ => Err(serde::de::Error::custom("expected certificates in PEM")),
    }
}
