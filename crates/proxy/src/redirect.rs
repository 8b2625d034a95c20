use bytes::Bytes;
use fairway_model::Redirect;
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};

use crate::error::Rejection;

/// What a client asked for, as far as a redirect may keep it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) https: bool,
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

/// The response that sends a client elsewhere; what the redirect leaves open stays as asked, and `path` is
/// where the redirect's own one has been applied already.
pub(crate) fn response(
    redirect: &Redirect,
    asked: Asked<'_>,
) -> Result<Response<Bytes>, Rejection> {
    let host = asked.host.and_then(|host| host.to_str().ok());
    let (name, port) = split_port(host.unwrap_or_default());
    let name = redirect.host.as_deref().unwrap_or(name);
    if name.is_empty() {
        return Err(Rejection::MissingHost);
    }
    let scheme = match (redirect.scheme.as_deref(), asked.https) {
        (Some(scheme), _) => scheme,
        (None, true) => "https",
        (None, false) => "http",
    };
    let mut location = format!("{scheme}://{name}");
    // Another scheme has another port.
    let kept = port.filter(|_| redirect.scheme.is_none());
    let port = redirect.port.map(|port| port.to_string());
    let usual = if scheme == "https" { "443" } else { "80" };
    if let Some(port) = port.as_deref().or(kept).filter(|port| *port != usual) {
        location.push(':');
        location.push_str(port);
    }
    location.push_str(asked.path);
    if let Some(query) = asked.query {
        location.push('?');
        location.push_str(query);
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::FOUND);
    let location = HeaderValue::try_from(location).map_err(|_| Rejection::Target)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// The response that sends a client to the same place by TLS. 308 keeps method and body.
pub(crate) fn to_https<B>(request: &Request<B>) -> Result<Response<Bytes>, Rejection> {
    let redirect = Redirect {
        scheme: Some("https".into()),
        host: None,
        port: None,
        path: None,
        status: StatusCode::PERMANENT_REDIRECT.as_u16(),
    };
    let uri = request.uri();
    let asked = Asked {
        https: false,
        host: request.headers().get(header::HOST),
        path: match uri.path() {
            "" => "/",
            path => path,
        },
        query: uri.query(),
    };
    response(&redirect, asked)
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
    use super::*;

    fn location(redirect: &Redirect, https: bool, host: &'static str) -> String {
        let host = HeaderValue::from_static(host);
        let asked = Asked {
            https,
            host: Some(&host),
            path: "/a",
            query: Some("q=1"),
        };
        let response = response(redirect, asked).unwrap();
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        let location = &response.headers()[header::LOCATION];
        location.to_str().unwrap().to_owned()
    }

    fn same() -> Redirect {
        Redirect {
            scheme: None,
            host: None,
            port: None,
            path: None,
            status: 308,
        }
    }

    #[test]
    fn keeps_what_it_does_not_change() {
        let https = Redirect {
            scheme: Some("https".into()),
            ..same()
        };
        let host = Redirect {
            host: Some("b.example".into()),
            ..same()
        };
        let all = Redirect {
            port: std::num::NonZeroU16::new(8443),
            scheme: Some("https".into()),
            ..host.clone()
        };
        for (redirect, tls, asked, expected) in [
            (
                &same(),
                false,
                "a.example:8080",
                "http://a.example:8080/a?q=1",
            ),
            (&same(), true, "a.example", "https://a.example/a?q=1"),
            (&same(), false, "a.example:80", "http://a.example/a?q=1"),
            (&https, false, "a.example:8080", "https://a.example/a?q=1"),
            (&https, false, "[::1]", "https://[::1]/a?q=1"),
            (
                &host,
                true,
                "a.example:8443",
                "https://b.example:8443/a?q=1",
            ),
            (&host, false, "a.example", "http://b.example/a?q=1"),
            (&all, false, "a.example", "https://b.example:8443/a?q=1"),
        ] {
            assert_eq!(location(redirect, tls, asked), expected);
        }
    }

    #[test]
    fn who_names_no_host_is_sent_nowhere() {
        let nowhere = Asked {
            https: false,
            host: None,
            path: "/",
            query: None,
        };
        assert_eq!(
            response(&same(), nowhere).err(),
            Some(Rejection::MissingHost)
        );
    }
}
