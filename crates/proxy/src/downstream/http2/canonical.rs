//! An HTTP/2 request in the form that HTTP/1.1 gives it, so that everything behind reads one form.

use http::header::{COOKIE, HOST, HeaderValue};
use http::{HeaderMap, Request};

/// Puts the authority into the Host header and the crumbs of a cookie together.
///
/// A Host header that is there stays: the gate compares it with the authority.
pub(super) fn rewrite<B>(request: &mut Request<B>) {
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    join_cookies(request.headers_mut());
}

/// RFC 9113 section 8.2.3: clients may cut a cookie at its semicolons.
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if crumbs.nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = (headers.get_all(COOKIE).iter())
        .map(HeaderValue::as_bytes)
        .collect();
    let whole = HeaderValue::from_maybe_shared(crumbs.join(&b"; "[..]));
    let whole = whole.expect("parts of header values and `; ` make a header value");
    headers.insert(COOKIE, whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        rewrite(&mut request);
        request
    }

    #[test]
    fn the_authority_becomes_the_host_unless_there_is_one() {
        let host = |headers: &[_]| request("http://a:80/x", headers).headers()[HOST].clone();
        assert_eq!(host(&[]), "a:80");
        assert_eq!(host(&[("host", "b")]), "b");
        assert!(!request("/x", &[]).headers().contains_key(HOST));
    }

    #[test]
    fn crumbs_become_one_cookie() {
        let request = request(
            "/",
            &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")],
        );
        let cookies: Vec<_> = request.headers().get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
    }
}
