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
        let response = response(&ProxyError::new(kind), &Reader::Http(None));
        assert_eq!(response.status(), expected, "{kind:?}");
        let retry = response.headers().contains_key(header::RETRY_AFTER);
        assert_eq!(retry, expected == 503, "{kind:?}");
    }
}

#[test]
fn head_is_told_the_length_it_does_not_get() {
    let mut response = plain(StatusCode::NOT_FOUND, &Reader::Http(None));
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
        let reader = Reader::Http(Some(HeaderValue::from_static(accept)));
        let response = plain(StatusCode::BAD_GATEWAY, &reader);
        assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
    }
}

#[test]
fn grpc_clients_are_told_in_their_own_words() {
    for (kind, code) in [
        (Kind::NoRoute, "12"),
        (Kind::NoEndpoints, "14"),
        (Kind::ConnectFailed, "14"),
        (Kind::ConnectTimeout, "14"),
        (Kind::UpstreamClosed, "14"),
        (Kind::ReadTimeout, "4"),
        (Kind::Rejected(Rejection::Path), "13"),
    ] {
        let response = response(&ProxyError::new(kind), &Reader::Grpc);
        assert_eq!(response.status(), 200, "{kind:?}");
        assert_eq!(response.headers()["grpc-status"], code, "{kind:?}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/grpc");
        assert!(response.body().is_empty());
    }
}
