//! What TLS says about a host.

use fairway_model::{HostPattern, TlsHandling, TlsPolicy, WildcardSpan};
use jiff::Timestamp;

use crate::world::{CertificateFacts, HostTls, Routing};
use crate::{Certificate, Tls, World};

/// TLS of a host, and what follows for requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostView {
    pub(crate) told: Tls,
    /// Endpoints do TLS.
    pub(crate) passthrough: bool,
    /// Nobody is let in.
    pub(crate) refuses: bool,
    /// Not everybody is let in, so clear text is not served.
    pub(crate) demands: bool,
    /// Clear text is sent to https, unless a route says otherwise.
    pub(crate) redirects: bool,
}

/// The entry by which TLS of a name is served: exact names, wildcards for one label, every host. Entries
/// without TLS do not count, so that this may be another entry than the one that routes.
fn entry<'a>(world: &'a World, name: Option<&str>) -> Option<(HostPattern, &'a TlsPolicy)> {
    let exact = name.map(|name| HostPattern::Exact(name.into()));
    let wildcard = name.and_then(|name| name.split_once('.'));
    let wildcard = wildcard.map(|(_, suffix)| HostPattern::Wildcard {
        suffix: suffix.into(),
        span: WildcardSpan::OneLabel,
    });
    let patterns = exact.into_iter().chain(wildcard).chain([HostPattern::Any]);
    let hosts = &world.snapshot.routes.hosts;
    patterns.into_iter().find_map(|pattern| {
        let policy = hosts.get(&pattern)?.tls.as_deref()?;
        Some((pattern, policy))
    })
}

/// What TLS says about a host.
pub(crate) fn of_host(world: &World, routing: &Routing, name: Option<&str>) -> HostView {
    let default = || routing.default_certificate.as_ref();
    let Some((pattern, policy)) = entry(world, name) else {
        let handling = match default() {
            Some(_) => "no Ingress asks for TLS: the default certificate is shown".to_owned(),
            None => "no Ingress asks for TLS: a self-signed certificate is shown".to_owned(),
        };
        let certificate = default().map(|facts| certificate(facts, name));
        return HostView {
            told: Tls {
                handling,
                certificate,
            },
            ..HostView::default()
        };
    };
    let none = HostTls::default();
    let facts = routing.tls.get(&pattern).unwrap_or(&none);
    let redirects = policy.redirect.unwrap_or(routing.redirects) && facts.wants_https;
    let without_us = |handling: &str| HostView {
        told: Tls {
            handling: format!("{pattern}: {handling}"),
            certificate: None,
        },
        demands: true,
        redirects: true,
        ..HostView::default()
    };
    let client_auth = match &policy.handling {
        TlsHandling::Terminate { client_auth, .. } => client_auth,
        TlsHandling::Passthrough => {
            return HostView {
                passthrough: true,
                ..without_us("passed through to the endpoints of path /, which do TLS")
            };
        }
        TlsHandling::Refuse => {
            return HostView {
                refuses: true,
                ..without_us(
                    "nobody is let in, because a policy for it has a mistake (see the log)",
                )
            };
        }
    };
    let mut handling = match (&facts.certificate, default()) {
        (Some(_), _) => format!("{pattern}: the router does TLS with its own certificate"),
        (None, Some(_)) => format!("{pattern}: it has no certificate, the default one is shown"),
        (None, None) => format!("{pattern}: it has no certificate, a self-signed one is shown"),
    };
    if let Some(auth) = client_auth {
        let whom = if auth.optional { "may" } else { "must" };
        let secret = &auth.authorities.0;
        handling.push_str(&format!(
            "; clients {whom} have a certificate by Secret {secret}"
        ));
    }
    if facts.refuses {
        handling.push_str("; nobody is let in, because that Secret has no authorities");
    }
    let shown = facts.certificate.as_ref().or_else(default);
    HostView {
        told: Tls {
            handling,
            certificate: shown.map(|facts| certificate(facts, name)),
        },
        passthrough: false,
        refuses: facts.refuses,
        demands: client_auth.is_some(),
        redirects: redirects || client_auth.is_some(),
    }
}

fn certificate(facts: &CertificateFacts, name: Option<&str>) -> Certificate {
    let time = |seconds| {
        let time = Timestamp::from_second(seconds);
        time.map_or_else(|_| "never".to_owned(), |time| time.to_string())
    };
    let covers = |name: &str| {
        facts.names.iter().any(|it| {
            *it == *name
                || it.strip_prefix("*.").is_some_and(|suffix| {
                    name.split_once('.').is_some_and(|(_, rest)| rest == suffix)
                })
        })
    };
    Certificate {
        secret: facts.secret.clone(),
        names: facts.names.clone(),
        not_before: time(facts.not_before),
        not_after: time(facts.not_after),
        covers: name.is_some_and(covers),
    }
}
