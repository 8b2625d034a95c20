//! `policies` of a `FairwayConfiguration`: what is set for routes beside what Ingresses say.
//!
//! Each is read strictly and by itself: one that cannot be meant so is told. A list with such a one replaces
//! no other; at a start, where there is none, it is left out or closes the hosts that it may protect.

mod backends;
mod balancing;
mod fault;
mod headers;
mod matches;
mod paths;
mod requests;
mod resilience;
mod text;
mod tls;
mod upstream;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use fairway_model::{
    HostPattern, ObjectName, RequestSettings, RoutePolicies, RoutePolicy, RouteSelector,
    RouteSettings, TlsSettings,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::backends::BackendDocument;
pub(super) use self::fault::Fault;
use self::headers::HeadersDocument;
use self::matches::MatchDocument;
use self::paths::{RedirectDocument, RewriteDocument};
use self::tls::ClientCertificatesDocument;
use self::upstream::UpstreamDocument;
use super::file::{decode_field, drop_null};

/// The list as it was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyList {
    pub(super) policies: Vec<Value>,
}

/// A field, and what is wrong with it.
type Wrong = (String, String);

impl PolicyList {
    /// The policies that can be used; of the others, what is wrong, and what of them protects a host.
    pub(super) fn parse(&self) -> (RoutePolicies, Vec<Fault>) {
        let (mut policies, mut faults) = (Vec::new(), Vec::new());
        for (at, content) in self.policies.iter().enumerate() {
            match parse(content) {
                Ok(policy) => policies.push(policy),
                Err(wrong) => {
                    let closing = fault::closing(content);
                    faults.push(Fault::new(at, wrong, closing.is_some()));
                    policies.extend(closing);
                }
            }
        }
        (RoutePolicies::new(policies), faults)
    }
}

fn parse(content: &Value) -> Result<RoutePolicy, Wrong> {
    let mut content = content.clone();
    drop_null(&mut content);
    let document: PolicyDocument = decode_field(content)?;
    let policy = document.policy()?;
    check(&policy).map(|()| policy)
}

/// What does not go together.
fn check(policy: &RoutePolicy) -> Result<(), Wrong> {
    let wrong = |field: &str, problem: &str| Err((field.to_owned(), problem.to_owned()));
    let settings = &policy.settings;
    if *settings == RouteSettings::default() {
        return wrong(
            "",
            "sets nothing: give it another field than selector and match",
        );
    }
    if settings.redirect.is_some() && settings.backends.is_some() {
        return wrong("redirect", "leaves nothing for backends to answer");
    }
    let is_part = policy.selector.path.is_some() || !policy.conditions.is_empty();
    if is_part && settings.tls != TlsSettings::default() {
        let field = match settings.tls.passthrough {
            Some(_) => "passthrough",
            None => "clientCertificates",
        };
        return wrong(
            field,
            "is for whole hosts: leave out selector.path and match",
        );
    }
    Ok(())
}

/// A policy as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyDocument {
    #[serde(default)]
    selector: SelectorDocument,
    #[serde(default, rename = "match")]
    matches: MatchDocument,
    #[serde(default)]
    upstream: UpstreamDocument,
    backends: Option<Vec<BackendDocument>>,
    redirect: Option<RedirectDocument>,
    rewrite: Option<RewriteDocument>,
    #[serde(default)]
    request_headers: HeadersDocument,
    #[serde(default)]
    response_headers: HeadersDocument,
    redirect_to_https: Option<bool>,
    #[serde(default, deserialize_with = "requests::size")]
    max_body_size: Option<u64>,
    #[serde(default, deserialize_with = "requests::upgrades")]
    upgrades: Option<Arc<[Arc<str>]>>,
    client_certificates: Option<ClientCertificatesDocument>,
    passthrough: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SelectorDocument {
    #[serde(deserialize_with = "text::object")]
    ingress: Option<ObjectName>,
    #[serde(deserialize_with = "text::host")]
    host: Option<HostPattern>,
    #[serde(deserialize_with = "text::path")]
    path: Option<Arc<str>>,
}

impl PolicyDocument {
    fn policy(self) -> Result<RoutePolicy, Wrong> {
        let mut headers = self.request_headers.of_requests();
        headers::check_host(&headers)
            .map_err(|problem| ("requestHeaders".to_owned(), problem.to_owned()))?;
        headers.extend(self.response_headers.of_responses());
        Ok(RoutePolicy {
            selector: RouteSelector {
                ingress: self.selector.ingress,
                host: self.selector.host,
                path: self.selector.path,
            },
            conditions: self.matches.conditions()?,
            settings: RouteSettings {
                upstream: self.upstream.settings()?,
                backends: self.backends.map(backends::shares).transpose()?,
                redirect: self.redirect.map(RedirectDocument::redirect).transpose()?,
                headers,
                rewrite: self
                    .rewrite
                    .map(|rewrite| rewrite.rewrite("rewrite"))
                    .transpose()?,
                requests: RequestSettings {
                    https: self.redirect_to_https,
                    max_body: self.max_body_size,
                    upgrades: self.upgrades,
                },
                tls: TlsSettings {
                    client_auth: self
                        .client_certificates
                        .map(ClientCertificatesDocument::policy)
                        .transpose()?,
                    passthrough: self.passthrough,
                    refuse: false,
                },
            },
        })
    }
}
