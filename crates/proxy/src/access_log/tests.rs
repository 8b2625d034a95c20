use std::time::Duration;

use fairway_model::{BackendPort, HostPattern, ObjectName, ObjectRef, Port, RuleId};
use fairway_router::UpstreamKey;
use http::{HeaderValue, Method, Uri, Version};

use super::*;
use crate::metrics::Metrics;
use crate::record::Attempt;
use crate::tls::Cipher;

/// What lines are made of.
struct Sample {
    method: Method,
    uri: Uri,
    version: Version,
    /// By name.
    headers: Vec<(&'static str, Vec<u8>)>,
    sent: Vec<(&'static str, Vec<u8>)>,
    id: RuleId,
    host: HostPattern,
    upstream: UpstreamKey,
    routed: bool,
    attempts: Vec<Attempt>,
    status: u16,
    reason: Option<&'static str>,
}

impl Sample {
    fn get(uri: &'static str) -> Self {
        Self {
            method: Method::GET,
            uri: Uri::from_static(uri),
            version: Version::HTTP_11,
            headers: vec![("host", b"a.example".to_vec())],
            sent: Vec::new(),
            id: RuleId {
                object: ObjectRef {
                    kind: "Ingress",
                    name: ObjectName::new("shop", "front"),
                },
                field: "spec.rules[0].http.paths[0]".into(),
            },
            host: HostPattern::Exact("a.example".into()),
            upstream: UpstreamKey {
                service: ObjectName::new("shop", "web"),
                port: BackendPort::Number(Port::new(80).unwrap()),
            },
            routed: false,
            attempts: Vec::new(),
            status: 200,
            reason: None,
        }
    }

    fn with(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.push((name, value.to_vec()));
        self
    }

    /// Tried so, each attempt a hundredth of a second after the one before.
    fn tried(mut self, attempts: &[(&str, u16, bool)]) -> Self {
        self.routed = true;
        for (number, (endpoint, status, answered)) in attempts.iter().enumerate() {
            let at = |millis| Duration::from_millis(number as u64 * 10 + millis);
            self.attempts.push(Attempt {
                endpoint: endpoint.parse().unwrap(),
                began: at(0),
                connected: answered.then(|| at(1)),
                answered: answered.then(|| at(2)),
                ended: Some(at(7)),
                status: Some(*status),
            });
        }
        self
    }

    fn line(&self, format: &str) -> String {
        let format: LogFormat = format.parse().unwrap();
        let select = |names: &[http::HeaderName], values: &[(&str, Vec<u8>)]| {
            let of_name = |name: &http::HeaderName| {
                let value = values.iter().find(|(it, _)| name == it)?;
                Some(HeaderValue::from_bytes(&value.1).unwrap())
            };
            names.iter().map(of_name).collect::<Vec<_>>()
        };
        let mut out = Vec::new();
        let mut time = Clock::default();
        time.set(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
        let route = json::route(&self.id, Some(&self.upstream));
        let line = Line {
            client: b"192.0.2.1",
            request: Some(Request {
                method: &self.method,
                uri: &self.uri,
                version: self.version,
            }),
            name: None,
            request_headers: &select(&format.wanted.request_headers, &self.headers),
            response_headers: &select(&format.wanted.response_headers, &self.sent),
            cipher: self.routed.then_some(Cipher::sample()),
            secure: self.routed,
            status: self.status,
            request_head: 100,
            received: 11,
            response_head: 200,
            sent: 64,
            duration: Duration::from_micros(31_500),
            route: self.routed.then_some(Route {
                id: &self.id,
                host: &self.host,
                path: "/cart",
                upstream: Some(&self.upstream),
                json: &route,
            }),
            attempts: &self.attempts,
            request_id: Some(b"0123456789abcdef0123456789abcdef"),
            trace_id: self.routed.then_some(b"4bf92f3577b34da6a3ce929d0e0e4736"),
            span_id: None,
            reason: self.reason,
        };
        match &format.style {
            Style::Json => json::format(&line, &time, &mut out),
            Style::Text(parts, escape) => text::format(&line, &time, parts, *escape, &mut out),
        }
        String::from_utf8(out).unwrap()
    }
}

#[test]
fn json_leaves_out_what_is_not_there() {
    assert_eq!(
        Sample::get("/a?secret=1")
            .with("user-agent", b"curl")
            .line("json"),
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"client\":\"192.0.2.1\",\"method\":\"GET\",\
         \"host\":\"a.example\",\"path\":\"/a\",\"protocol\":\"HTTP/1.1\",\"status\":200,\
         \"bytes\":64,\"duration\":0.031500,\
         \"request_id\":\"0123456789abcdef0123456789abcdef\",\"user_agent\":\"curl\"}\n"
    );
}

#[test]
fn json_tells_where_a_request_went() {
    let mut sample =
        Sample::get("/cart").tried(&[("10.0.0.1:80", 502, false), ("10.0.0.2:80", 200, true)]);
    sample.reason = Some("read_timeout");
    assert_eq!(
        sample.line("json"),
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"client\":\"192.0.2.1\",\"method\":\"GET\",\
         \"host\":\"a.example\",\"path\":\"/cart\",\"protocol\":\"HTTP/1.1\",\"status\":200,\
         \"bytes\":64,\"duration\":0.031500,\"namespace\":\"shop\",\"route\":\"front\",\
         \"rule\":\"spec.rules[0].http.paths[0]\",\"service\":\"web\",\
         \"endpoint\":\"10.0.0.2:80\",\"tries\":2,\"upstream_duration\":0.007000,\
         \"request_id\":\"0123456789abcdef0123456789abcdef\",\
         \"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"reason\":\"read_timeout\"}\n"
    );
}

#[test]
fn any_bytes_make_one_valid_json_line() {
    for agent in [
        &b"\"\\\t\x1b[31m\x7f"[..],
        b"\xff\xfe\xc2",
        "\u{85}\u{9b}31m\u{2028}\u{2029}ä😀".as_bytes(),
        &[b'\\'; 5000],
    ] {
        // A header has no line ends; a name in a ClientHello goes the same way.
        let agent: Vec<u8> = agent
            .iter()
            .copied()
            .filter(|byte| HeaderValue::from_bytes(&[*byte]).is_ok())
            .collect();
        let text = Sample::get("/").with("user-agent", &agent).line("json");
        let body = text.strip_suffix('\n').unwrap();
        assert!(!body.chars().any(char::is_control), "{body:?}");
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(value["user_agent"].as_str().unwrap().len() <= LONG * 3);
    }
    let mut out = Vec::new();
    json::escape(b"\"\\\r\n\t\x1b[31m\0\x7f\xff", &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "\\\"\\\\\\u000d\\u000a\\u0009\\u001b[31m\\u0000\\u007f\u{fffd}"
    );
}

#[test]
fn combined_is_nginx_default() {
    let sample = Sample::get("/a?b=c")
        .with("user-agent", b"curl/8")
        .with("referer", b"http://r/")
        .with("authorization", b"Basic YWxpY2U6c2VjcmV0");
    assert_eq!(
        sample.line("combined"),
        "192.0.2.1 - alice [14/Nov/2023:22:13:20 +0000] \"GET /a?b=c HTTP/1.1\" 200 64 \
         \"http://r/\" \"curl/8\"\n"
    );
}

#[test]
fn nginx_is_the_default_of_ingress_nginx() {
    let sample =
        Sample::get("/cart").tried(&[("10.0.0.1:80", 502, false), ("[fd00::2]:80", 200, true)]);
    assert_eq!(
        sample.line("nginx"),
        "192.0.2.1 - - [14/Nov/2023:22:13:20 +0000] \"GET /cart HTTP/1.1\" 200 64 \"-\" \"-\" \
         111 0.031 [shop-web-80] [] 10.0.0.1:80, [fd00::2]:80 0, 64 0.007, 0.007 502, 200 \
         0123456789abcdef0123456789abcdef\n"
    );
    assert_eq!(
        Sample::get("/").line("nginx"),
        "192.0.2.1 - - [14/Nov/2023:22:13:20 +0000] \"GET / HTTP/1.1\" 200 64 \"-\" \"-\" \
         111 0.031 [-] [] - - - - 0123456789abcdef0123456789abcdef\n"
    );
}

#[test]
fn hostile_bytes_are_escaped_as_nginx_does() {
    let sample = Sample::get("/%22%0a|").with("user-agent", b"\"a\\b\tc\xff\xc3\xa4~ }");
    assert_eq!(
        sample.line("$request|$http_user_agent"),
        "GET /%22%0a| HTTP/1.1|\\x22a\\x5Cb\\x09c\\xFF\\xC3\\xA4~ }\n"
    );
    assert_eq!(
        sample.line("escape=json {\"agent\":\"$http_user_agent\",\"none\":\"$http_none\"}"),
        "{\"agent\":\"\\\"a\\\\b\\u0009c\u{fffd}ä~ }\",\"none\":\"\"}\n"
    );
    let long = vec![b'"'; 100_000];
    let line = Sample::get("/")
        .with("user-agent", &long)
        .line("$http_user_agent");
    assert_eq!(line.len(), LONG * 4 + 1);
}

/// What nginx 1.22 writes of the same request, byte for byte.
#[test]
fn a_line_is_what_nginx_writes() {
    let mut sample = Sample::get("/a%20b?x=1&Y=2")
        .with("user-agent", b"\"a\\b\tc\xff\xc3\xa4~ }")
        .with("cookie", b"a=1; b=2")
        .with("authorization", b"Basic YWxpY2U6c2VjcmV0");
    sample.headers[0].1 = b"A.example:80".to_vec();
    let format = "$remote_user \"$request\" $status \"$http_referer\" \"$http_user_agent\" [$host] [] \
        $args|$uri|$cookie_a|$arg_x|$arg_none|$http_none|$https|$http2|$ssl_protocol|$scheme|$server_protocol";
    assert_eq!(
        sample.line(format),
        "alice \"GET /a%20b?x=1&Y=2 HTTP/1.1\" 200 \"-\" \"\\x22a\\x5Cb\\x09c\\xFF\\xC3\\xA4~ }\" \
         [a.example] [] x=1&Y=2|/a b|1|1|-|-|||-|http|HTTP/1.1\n"
    );
    assert_eq!(Sample::get("/%4%zz%25").line("$uri"), "/%4%zz%\n");
}

#[test]
fn every_variable_has_a_value() {
    let mut sample = Sample::get("/a/b?x=1&Y=2")
        .with("cookie", b"session=s1; theme=dark=er")
        .with("authorization", b"Bearer abc")
        .tried(&[("10.0.0.2:80", 200, true)]);
    sample.version = Version::HTTP_2;
    sample.headers[0].1 = b"A.example:8443".to_vec();
    sample.sent.push(("content-type", b"text/html".to_vec()));
    sample.reason = Some("no_route");
    for (variable, expected) in [
        ("$remote_addr,$the_real_ip", "192.0.2.1,192.0.2.1"),
        ("$remote_user", "-"),
        (
            "$time_iso8601 $msec",
            "2023-11-14T22:13:20+00:00 1700000000.123",
        ),
        ("$request", "GET /a/b?x=1&Y=2 HTTP/2.0"),
        (
            "$request_method $request_uri $uri $args",
            "GET /a/b?x=1&Y=2 /a/b x=1&Y=2",
        ),
        ("${arg_x}$arg_y$arg_z", "12-"),
        (
            "$scheme $https $http2 $server_protocol",
            "https on h2 HTTP/2.0",
        ),
        (
            "$host $http_host $server_name",
            "a.example A.example:8443 a.example",
        ),
        ("$sent_http_content_type $sent_http_none", "text/html -"),
        ("$cookie_session $cookie_theme $cookie_sess", "s1 dark=er -"),
        ("$status $body_bytes_sent $bytes_sent", "200 64 264"),
        ("$request_length $request_time", "111 0.031"),
        (
            "$request_id $req_id",
            "0123456789abcdef0123456789abcdef 0123456789abcdef0123456789abcdef",
        ),
        ("$trace_id $span_id", "4bf92f3577b34da6a3ce929d0e0e4736 -"),
        ("$upstream_addr $upstream_status", "10.0.0.2:80 200"),
        (
            "$upstream_connect_time $upstream_header_time $upstream_response_time",
            "0.001 0.002 0.007",
        ),
        ("$upstream_response_length", "64"),
        (
            "$namespace $ingress_name $service_name $service_port",
            "shop front web 80",
        ),
        ("$location_path", "/cart"),
        (
            "$ssl_protocol $ssl_cipher",
            "TLSv1.3 TLS_AES_256_GCM_SHA384",
        ),
        ("$fairway_reason", "no_route"),
        ("100%${status}x", "100%200x"),
    ] {
        assert_eq!(sample.line(variable), format!("{expected}\n"), "{variable}");
    }
    assert_eq!(sample.line("$pid"), format!("{}\n", std::process::id()));
}

#[test]
fn what_cannot_be_used_is_said() {
    let error = |text: &str| text.parse::<LogFormat>().unwrap_err();
    assert_eq!(
        error("$remote_addr $geoip_city $status $lua_var $arg_"),
        FormatError::UnknownVariables(vec!["geoip_city".into(), "lua_var".into(), "arg_".into()])
    );
    let said = error("$geoip_city").to_string();
    assert!(
        said.contains("$geoip_city") && said.contains("docs/observability.md"),
        "{said}"
    );
    assert_eq!(error("a $ b"), FormatError::Dollar(2));
    assert_eq!(error("a ${status"), FormatError::Dollar(2));
    assert_eq!(error("$status 5$"), FormatError::Dollar(9));
    for text in ["", "upstreaminfo", "JSON", "escape=json {}"] {
        assert_eq!(error(text), FormatError::NoVariable, "{text}");
    }
    for text in [
        "json",
        "nginx",
        "combined",
        "escape=json {\"a\":\"$status\"}",
    ] {
        assert_eq!(text.parse::<LogFormat>().unwrap().to_string(), text);
    }
}

#[test]
fn only_what_is_written_is_kept() {
    let format: LogFormat = "$http_x_a $http_x_a $remote_user $cookie_a $cookie_b $sent_http_b"
        .parse()
        .unwrap();
    assert_eq!(
        format.wanted.request_headers,
        ["x-a", "authorization", "cookie"]
    );
    assert_eq!(format.wanted.response_headers, ["b"]);
    assert!(!format.wanted.lengths);
}

#[test]
fn a_reader_that_is_too_slow_costs_lines_and_not_time() {
    let shard = Metrics::default().shard();
    let (sender, batches) = sync_channel(1);
    let log = AccessLog::new(Some(sender), LogFormat::json(), shard.clone());
    let line = Line {
        client: b"",
        request: None,
        name: None,
        request_headers: &[],
        response_headers: &[],
        cipher: None,
        secure: false,
        status: 400,
        request_head: 0,
        received: 0,
        response_head: 0,
        sent: 0,
        duration: Duration::ZERO,
        route: None,
        attempts: &[],
        request_id: None,
        trace_id: None,
        span_id: None,
        reason: None,
    };
    for _ in 0..3 {
        log.write(&line);
        log.flush();
    }
    assert!(log.is_empty());
    assert_eq!(shard.log_lines_dropped.get(), 2);
    drop(log);
    assert_eq!(batches.iter().map(|batch| batch.lines).sum::<u64>(), 1);
}
