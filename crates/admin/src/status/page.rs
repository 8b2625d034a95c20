//! The page: one document without outside requests.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use http::header::{HeaderName, X_FRAME_OPTIONS};
use http::{Response, StatusCode};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::server::{Body, plain_text, respond};

const HTML: &str = include_str!("page/status.html");
const STYLE: &str = include_str!("page/status.css");
const SCRIPT: &str = include_str!("page/status.js");

/// What the documents have in common: they are nobody else's, and of now.
pub(super) fn protect(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
}

/// The page with a nonce of its own: nothing that comes to stand in it otherwise is style or script.
pub(super) fn page() -> Response<Body> {
    let mut random = [0; 16];
    let Ok(16) = getrandom(&mut random, GetRandomFlags::empty()) else {
        return plain_text(StatusCode::SERVICE_UNAVAILABLE, "no randomness yet\n");
    };
    let nonce = format!("{:032x}", u128::from_ne_bytes(random));
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let page = HTML
        .replace("{{nonce}}", &nonce)
        .replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT);
    let mut response = respond(
        StatusCode::OK,
        "text/html; charset=utf-8",
        Bytes::from(page),
    );
    protect(&mut response);
    let policy = HeaderValue::try_from(policy).expect("a nonce of hexadecimal digits");
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}
