//! What is done to a request and its response, in words.

use std::time::Duration;

use fairway_model::{
    Filter, HashKey, LoadBalancing, Redirect, RequestPolicy, UpstreamPolicy, UpstreamProtocol,
};
use fairway_router::{Path, Route, Upstream};

/// What a route does to requests and responses, a sentence each; nothing that is as by default.
pub(crate) fn of_route(route: &Route, path: &Path<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    match route.rewrite.as_ref().map(|rewrite| rewrite.apply(path)) {
        Some(Ok(Some(new))) => lines.push(format!("the path becomes {new}")),
        Some(Ok(None)) => lines.push("the path stays: its rewrite does not match it".to_owned()),
        Some(Err(error)) => lines.push(format!("the rewritten path cannot be used: {error}")),
        None => {}
    }
    lines.extend(route.filters.iter().filter_map(filter));
    lines.extend(requests(&route.requests));
    lines
}

fn filter(filter: &Filter) -> Option<String> {
    Some(match filter {
        Filter::SetRequestHeader(name, value) => format!("sets request header {name}: {value}"),
        Filter::AddRequestHeader(name, value) => format!("adds request header {name}: {value}"),
        Filter::RemoveRequestHeader(name) => format!("removes request header {name}"),
        Filter::SetResponseHeader(name, value) => format!("sets response header {name}: {value}"),
        Filter::AddResponseHeader(name, value) => format!("adds response header {name}: {value}"),
        Filter::RemoveResponseHeader(name) => format!("removes response header {name}"),
        // Told with its result.
        Filter::RewritePath(_) => return None,
    })
}

fn requests(policy: &RequestPolicy) -> Vec<String> {
    let default = RequestPolicy::default();
    let mut lines = Vec::new();
    if policy.max_body != default.max_body {
        lines.push(format!(
            "bodies of more than {} bytes are answered with 413",
            policy.max_body
        ));
    }
    if policy.upgrades != default.upgrades {
        let upgrades = policy.upgrades.join(", ");
        lines.push(match upgrades.is_empty() {
            true => "no protocol upgrades, WebSocket neither".to_owned(),
            false => format!("protocol upgrades to {upgrades} only"),
        });
    }
    lines
}

/// Where a redirect leads.
pub(crate) fn redirect(redirect: &Redirect, host: &str, https: bool, path: &str) -> String {
    let scheme = redirect.scheme.as_deref();
    let scheme = scheme.unwrap_or(if https { "https" } else { "http" });
    let host = redirect.host.as_deref().unwrap_or(host);
    let port = redirect
        .port
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{scheme}://{host}{port}{path}")
}

/// How an upstream is spoken to.
pub(crate) fn manner(policy: &UpstreamPolicy, upstream: &Upstream) -> String {
    let protocol = policy.protocol.or(upstream.protocol());
    let protocol = match protocol.unwrap_or(UpstreamProtocol::Http1) {
        UpstreamProtocol::Http1 => "HTTP/1.1",
        UpstreamProtocol::Http2 => "HTTP/2 (h2c)",
        UpstreamProtocol::Https => "HTTP/1.1 over TLS",
        UpstreamProtocol::Http2Tls => "HTTP/2 over TLS",
    };
    let choice = match &policy.balancing {
        LoadBalancing::RoundRobin => "endpoints in turn".to_owned(),
        LoadBalancing::LeastRequests => "the endpoint with fewer requests".to_owned(),
        LoadBalancing::PeakEwma => "the endpoint that answers sooner".to_owned(),
        LoadBalancing::ConsistentHash(key) => match key {
            HashKey::Header(name) => format!("the endpoint by header {name}"),
            HashKey::Cookie(name) => format!("the endpoint by cookie {name}"),
            HashKey::SourceAddress => "the endpoint by the client's address".to_owned(),
            HashKey::Uri => "the endpoint by path and query".to_owned(),
        },
    };
    let mut manner = format!("{protocol}, {choice}");
    let default = UpstreamPolicy::default();
    if policy.retry.tries != default.retry.tries {
        manner.push_str(&format!(", {} tries", policy.retry.tries));
    }
    if policy.connect_timeout != default.connect_timeout {
        manner.push_str(&format!(
            ", connects within {}",
            seconds(policy.connect_timeout)
        ));
    }
    if let Some(timeout) = policy.read_timeout {
        manner.push_str(&format!(", answers within {}", seconds(timeout)));
    }
    manner
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
