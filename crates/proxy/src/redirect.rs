use bytes::Bytes;
use fairway_model::Redirect;
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};

/// The response that sends a client elsewhere; what the redirect leaves open stays as asked.
pub(crate) fn response(
    redirect: &Redirect,
    host: Option<&HeaderValue>,
    path: &str,
    query: Option<&str>,
) -> Response<Bytes> {
    let asked = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (name, port) = split_port(asked);
    let scheme = redirect.scheme.as_deref().unwrap_or("http");
    let mut location = format!("{scheme}://{}", redirect.host.as_deref().unwrap_or(name));
    let kept = (redirect.host.is_none() && redirect.scheme.is_none())
        .then_some(port)
        .flatten();
    if let Some(port) = redirect
        .port
        .map(|port| port.to_string())
        .as_deref()
        .or(kept)
    {
        location.push(':');
        location.push_str(port);
    }
    location.push_str(redirect.path.as_deref().unwrap_or(path));
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::FOUND);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The response that sends a client to the same place by TLS. 308 keeps method and body.
pub(crate) fn to_https<B>(request: &Request<B>) -> Response<Bytes> {
    let redirect = Redirect {
        scheme: Some("https".into()),
        host: None,
        port: None,
        path: None,
        status: StatusCode::PERMANENT_REDIRECT.as_u16(),
    };
    let uri = request.uri();
    let path = match uri.path() {
        "" => "/",
        path => path,
    };
    let host = request.headers().get(header::HOST);
    response(&redirect, host, path, uri.query())
}

/// Host and port of a Host header that passed the gate; IPv6 literals stand in brackets.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => {
            (name, Some(port).filter(|port| !port.is_empty()))
        }
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn location(redirect: &Redirect, host: &'static str) -> String {
        let host = HeaderValue::from_static(host);
        let response = response(redirect, Some(&host), "/a", Some("q=1"));
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        response.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn keeps_what_it_does_not_change() {
        let mut redirect = Redirect {
            scheme: None,
            host: None,
            port: None,
            path: None,
            status: 308,
        };
        assert_eq!(
            location(&redirect, "a.example:8080"),
            "http://a.example:8080/a?q=1"
        );
        redirect.scheme = Some(Arc::from("https"));
        assert_eq!(
            location(&redirect, "a.example:8080"),
            "https://a.example/a?q=1"
        );
        assert_eq!(location(&redirect, "[::1]"), "https://[::1]/a?q=1");
        redirect.host = Some(Arc::from("b.example"));
        redirect.port = std::num::NonZeroU16::new(8443);
        redirect.path = Some(Arc::from("/b"));
        assert_eq!(
            location(&redirect, "a.example"),
            "https://b.example:8443/b?q=1"
        );
    }
}
