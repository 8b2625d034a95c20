use http::Request;

use super::*;

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn judge(request: &Request<()>) -> Result<Admitted, Rejection> {
    admit(request, HeadSeen::default(), &Limits::default())
}

#[test]
fn what_hyper_hides_is_refused() {
    let request = request(
        "POST",
        "/",
        &[("host", "a"), ("transfer-encoding", "chunked")],
    );
    let seen = |content_lengths, transfer_encodings, fragment| HeadSeen {
        content_lengths,
        transfer_encodings,
        fragment,
    };
    let judge = |seen| admit(&request, seen, &Limits::default()).map(drop);
    assert_eq!(judge(seen(0, 1, false)), Ok(()));
    assert_eq!(judge(seen(1, 1, false)), Err(Rejection::LengthAndEncoding));
    assert_eq!(judge(seen(2, 0, false)), Err(Rejection::ContentLength));
    assert_eq!(judge(seen(0, 2, false)), Err(Rejection::TransferEncoding));
    assert_eq!(judge(seen(0, 1, true)), Err(Rejection::Target));
}

#[test]
fn the_host_is_the_one_that_everybody_reads() {
    let host = |request: Request<()>| judge(&request).map(|admitted| admitted.host);
    let parsed = Host::parse(b"a.example:81").unwrap();
    assert_eq!(
        host(request("GET", "/", &[("host", "A.example:8080")])),
        Ok(parsed.clone())
    );
    assert_eq!(
        host(request(
            "GET",
            "http://a.example/",
            &[("host", "a.example")]
        )),
        Ok(parsed)
    );
    for (target, headers, expected) in [
        ("/", &[][..], Rejection::MissingHost),
        ("http://a/", &[], Rejection::MissingHost),
        ("http://a/", &[("host", "b")], Rejection::HostMismatch),
        (
            "/",
            &[("host", "a"), ("host", "a")],
            Rejection::RepeatedHost,
        ),
        ("/", &[("host", "a b")], Rejection::InvalidHost),
    ] {
        assert_eq!(
            host(request("GET", target, headers)),
            Err(expected),
            "{target} {headers:?}"
        );
    }
    let mut old = request("GET", "/", &[]);
    *old.version_mut() = Version::HTTP_10;
    assert_eq!(host(old), Ok(Host::none()));
}

#[test]
fn a_wish_for_another_protocol_is_one_token() {
    let wish = |method, headers: &[(&str, &str)]| {
        let mut all = vec![("host", "a")];
        all.extend_from_slice(headers);
        let admitted = judge(&request(method, "/", &all)).unwrap();
        let wish = admitted.upgrade?;
        let protocol = wish.protocol.to_str().unwrap().to_owned();
        Some((protocol, wish.has_body))
    };
    let wanted = |protocol: &str, has_body| Some((protocol.to_owned(), has_body));
    let asked = ("connection", "keep-alive, Upgrade");
    for (method, headers, expected) in [
        (
            "GET",
            &[asked, ("upgrade", "WebSocket")][..],
            wanted("WebSocket", false),
        ),
        (
            "POST",
            &[asked, ("upgrade", "SPDY/3.1")],
            wanted("SPDY/3.1", false),
        ),
        ("POST", &[asked, ("upgrade", "websocket")], None),
        ("GET", &[("upgrade", "websocket")], None),
        ("GET", &[asked, ("upgrade", "h2c")], None),
        ("GET", &[asked, ("upgrade", "H2C")], None),
        ("GET", &[asked, ("upgrade", "websocket, h2c")], None),
        (
            "GET",
            &[asked, ("upgrade", "websocket"), ("upgrade", "h2c")],
            None,
        ),
        (
            "POST",
            &[asked, ("upgrade", "websocket"), ("content-length", "1")],
            wanted("websocket", true),
        ),
        (
            "GET",
            &[asked, ("upgrade", "websocket"), ("content-length", "0")],
            wanted("websocket", false),
        ),
    ] {
        assert_eq!(wish(method, headers), expected, "{headers:?}");
    }
}

#[test]
fn methods() {
    let method = |name| judge(&request(name, "/", &[("host", "a")])).map(drop);
    for name in ["GET", "PROPFIND", "UPDATEREDIRECTREF", "X-1"] {
        assert_eq!(method(name), Ok(()), "{name}");
    }
    let long = "A".repeat(33);
    for name in ["get", "Get", &long] {
        assert_eq!(method(name), Err(Rejection::Method), "{name}");
    }
    assert_eq!(method("TRACE"), Err(Rejection::MethodNotAllowed));
}
