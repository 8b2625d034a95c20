use super::*;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let lines = lines.iter();
    lines
        .map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.parse::<HeaderValue>().unwrap())
        })
        .fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
}

fn run(trusted: bool, lines: &[(&str, &str)]) -> (HeaderMap, Rewritten) {
    let mut headers = headers(lines);
    let sender = Sender {
        peer: HeaderValue::from_static("10.0.0.1"),
        trusted,
        port: None,
        secure: false,
    };
    let is_trusted = |address: IpAddr| address.to_string().starts_with("10.");
    let rewritten = rewrite(&mut headers, &sender, is_trusted, || {
        HeaderValue::from_static("made")
    });
    (headers, rewritten)
}

#[test]
fn the_client_is_the_last_hop_that_is_no_proxy_of_ours() {
    for (chain, client) in [
        (&["1.1.1.1, 2.2.2.2"][..], Some("2.2.2.2")),
        (&["1.1.1.1, 2.2.2.2, 10.9.9.9"], Some("2.2.2.2")),
        (&["1.1.1.1", "2001:db8::1"], Some("2001:db8::1")),
        (&["::ffff:3.3.3.3"], Some("3.3.3.3")),
        (&["6.6.6.6, 1.1.1.1:5678, 10.9.9.9:1"], Some("1.1.1.1")),
        (&["6.6.6.6, [2001:db8::1]:9"], Some("2001:db8::1")),
        (&["6.6.6.6, [2001:db8::1], "], Some("2001:db8::1")),
        // Who stands behind a hop that hides is not known.
        (&["6.6.6.6, unknown"], None),
        (&["6.6.6.6", "1.1.1.1:x, 10.9.9.9"], None),
        (&["unknown, , x"], None),
        (&["10.1.1.1"], None),
    ] {
        let lines: Vec<_> = chain
            .iter()
            .map(|value| ("x-forwarded-for", *value))
            .collect();
        let (headers, rewritten) = run(true, &lines);
        let client = client.map(|client| HeaderValue::from_str(client).unwrap());
        assert_eq!(rewritten.client, client, "{chain:?}");
        let real = client.unwrap_or(HeaderValue::from_static("10.0.0.1"));
        assert_eq!(headers[X_REAL_IP], real);
        let forwarded = format!("{}, 10.0.0.1", chain.join(", "));
        assert_eq!(headers[X_FORWARDED_FOR], forwarded);
    }
}

#[test]
fn nobody_can_strip_what_we_set_or_what_the_message_needs() {
    let (headers, _) = run(
        false,
        &[
            ("host", "a"),
            ("authorization", "b"),
            ("content-length", "1"),
            ("x-a", "1"),
            ("connection", "X-Forwarded-For, Host, Authorization"),
            ("connection", "Content-Length, x-a, bad name, "),
        ],
    );
    for kept in ["host", "authorization", "content-length", "x-forwarded-for"] {
        assert!(headers.contains_key(kept), "{kept}");
    }
    assert!(!headers.contains_key("x-a") && !headers.contains_key("connection"));
}

#[test]
fn the_public_port_is_the_one_in_the_host() {
    for (host, port) in [
        ("a", "80"),
        ("a:8080", "8080"),
        ("a:", "80"),
        ("[::1]", "80"),
        ("[::1]:81", "81"),
    ] {
        assert_eq!(
            run(false, &[("host", host)]).0[X_FORWARDED_PORT],
            port,
            "{host}"
        );
    }
}

#[test]
fn the_public_port_is_the_schemes_where_nobody_tells() {
    for (trusted, scheme, port) in [
        (true, "https", "443"),
        (true, "HTTPS", "443"),
        (true, "http", "80"),
        (false, "https", "80"),
    ] {
        let (headers, _) = run(trusted, &[("host", "a"), ("x-forwarded-proto", scheme)]);
        assert_eq!(headers[X_FORWARDED_PORT], port, "{trusted} {scheme}");
    }
}

#[test]
fn request_ids_are_kept_if_they_are_harmless() {
    let long = "a".repeat(128);
    for id in ["a", "A-1_2.3:4/5+6=7@8", &long] {
        assert_eq!(run(false, &[("x-request-id", id)]).1.request_id, id);
    }
    let long = "a".repeat(129);
    for id in ["", "a b", "a\"b", "<a>", "ä", &long] {
        let (headers, rewritten) = run(false, &[("x-request-id", id)]);
        assert_eq!(rewritten.request_id, "made", "{id}");
        assert_eq!(headers[X_REQUEST_ID], "made");
    }
}

#[test]
fn underscores_are_counted_and_dropped() {
    let (headers, rewritten) = run(true, &[("x_a", "1"), ("x_b", "2"), ("x-c", "3")]);
    assert_eq!(rewritten.underscores, 2);
    assert!(headers.keys().all(|name| !name.as_str().contains('_')));
    assert_eq!(headers["x-c"], "3");
}
