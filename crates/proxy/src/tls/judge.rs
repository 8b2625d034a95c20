use fairway_router::Host;
use http::HeaderMap;

use crate::downstream::connection::Client;

/// Where certificate authorities look for proof that a name is ours, in clear text (RFC 8555
/// section 8.3).
const ACME: &str = "/.well-known/acme-challenge/";

/// What TLS has to say about a request before it is routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Serve,
    /// The client is to be told that the host is to be had by TLS only.
    ServeStrictly,
    /// The request came in clear text; whether that sends it to https if its route has no other opinion.
    ClearText(bool),
    /// Nobody is served in clear text.
    SendToHttps,
    /// The connection was opened for a host that lets in others than this one does (RFC 9110 section
    /// 15.5.20), or that one lets in others by now, and the session is outdated. Browsers ask for any host
    /// that a connection's certificate names.
    Misdirected,
}

/// Judges a request by its host and the connection it came by.
pub(crate) fn judge(client: &Client, host: &Host, path: &str, headers: &HeaderMap) -> Verdict {
    let table = client.worker.tls.load();
    let host = table.for_request(host);
    if let Some(session) = &client.tls {
        return match host.admits(&session.host) {
            true if host.has_certificate() => Verdict::ServeStrictly,
            true => Verdict::Serve,
            false => {
                let current = table.for_server_name(session.name.as_deref());
                session.outdated.set(!current.admits(&session.host));
                Verdict::Misdirected
            }
        };
    }
    match client.sender.is_https(headers) {
        _ if is_challenge(path) => Verdict::Serve,
        // The proxy before us has seen the client's certificate, or not; we cannot know.
        true if host.demands() => Verdict::Misdirected,
        true => Verdict::Serve,
        false if host.demands() => Verdict::SendToHttps,
        false => Verdict::ClearText(host.redirects()),
    }
}

/// A challenge's token itself: nothing below it and not the directory.
fn is_challenge(path: &str) -> bool {
    path.strip_prefix(ACME)
        .is_some_and(|token| !token.is_empty() && !token.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_are_challenges() {
        assert!(is_challenge("/.well-known/acme-challenge/a.b_C-9"));
        for path in [
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge",
            "/.well-known/acme-challenge/a/b",
            "/x/.well-known/acme-challenge/a",
        ] {
            assert!(!is_challenge(path), "{path}");
        }
    }
}
