use super::*;

#[test]
fn statuses_follow_from_the_error() {
    for (kind, expected) in [
        (Kind::NoRoute, 404),
        (Kind::NoEndpoints, 503),
        (Kind::NoService, 503),
        (Kind::NoPort, 503),
        (Kind::ConnectFailed, 502),
        (Kind::ConnectTimeout, 504),
        (Kind::UpstreamClosed, 502),
        (Kind::InvalidResponse, 502),
        (Kind::ReadTimeout, 504),
        (Kind::BodyTimeout, 408),
        (Kind::Rejected(Rejection::TargetTooLong), 414),
        (Kind::Rejected(Rejection::HeadTooLarge), 431),
    ] {
        let response = response(&ProxyError::new(kind), None);
        assert_eq!(response.status(), expected, "{kind:?}");
        let retry = response.headers().contains_key(header::RETRY_AFTER);
        assert_eq!(retry, expected == 503, "{kind:?}");
        let close = response.headers().contains_key(header::CONNECTION);
        assert_eq!(close, matches!(kind, Kind::Rejected(_)), "{kind:?}");
    }
}

#[test]
fn head_is_told_the_length_it_does_not_get() {
    let mut response = plain(StatusCode::NOT_FOUND, None);
    fit(&mut response, &Method::HEAD);
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "14");
    assert!(response.body().is_empty());
}

#[test]
fn the_first_form_we_know_is_used() {
    for (accept, kind) in [
        (
            "text/html;q=0.1, application/json",
            "text/html; charset=utf-8",
        ),
        ("image/png, application/vnd.api+json", "application/json"),
        ("text/plain, text/html", "text/plain; charset=utf-8"),
        ("", "text/plain; charset=utf-8"),
    ] {
        let accept = HeaderValue::from_static(accept);
        let response = plain(StatusCode::BAD_GATEWAY, Some(&accept));
        assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
    }
}
