//! The access log as nginx writes it, and the file that it goes to.

use std::fs;

use fairway_proxy::{AccessLog, Config};

use crate::client::{Client, ask, get};
use crate::cluster::Cluster;
use crate::proxy::{Proxy, single};
use crate::tls::{self, Authority};
use crate::upstream::{Upstream, refusing, wait_for};

fn formatted(cluster: Cluster, format: &str) -> Proxy {
    let config = Config {
        log_format: format.parse().unwrap(),
        ..Config::default()
    };
    Proxy::configured(cluster, config)
}

#[test]
fn a_line_of_nginx_tells_the_request() {
    let upstream = Upstream::echo("a");
    let proxy = formatted(single(&[upstream.address]), "nginx");
    let request = "POST /cart?a=%221 HTTP/1.1\r\nHost: a\r\nUser-Agent: te\"st\r\nReferer: http://r/\r\n\
        X-Request-ID: id-1\r\nContent-Length: 2\r\n\r\nhi";
    let mut client = Client::connect(proxy.address);
    client.send(request);
    assert_eq!(client.response().status, 200);
    let line = &proxy.log_texts(1)[0];
    let (before, rest) = line.split_once('[').unwrap();
    assert_eq!(before, "127.0.0.1 - - ");
    let (time, rest) = rest.split_once("] ").unwrap();
    assert!(time.ends_with(" +0000") && time.len() == 26, "{time}");
    // A Content-Length of this form is as long as the one that was sent.
    let request_length = request.len();
    let expected = format!(
        "\"POST /cart?a=%221 HTTP/1.1\" 200 4 \"http://r/\" \"te\\x22st\" {request_length} "
    );
    let (time, rest) = rest
        .strip_prefix(&expected)
        .unwrap()
        .split_once(' ')
        .unwrap();
    assert!(time.parse::<f64>().unwrap() < 10.0, "{time}");
    let endpoint = upstream.address;
    let rest = rest
        .strip_prefix(&format!("[shop-web-80] [] {endpoint} 4 "))
        .unwrap();
    let (time, rest) = rest.split_once(' ').unwrap();
    assert!(time.parse::<f64>().unwrap() < 10.0, "{time}");
    assert_eq!(rest, "200 id-1");
}

#[test]
fn each_endpoint_that_was_tried_is_listed() {
    let upstream = Upstream::echo("a");
    let (gone, there) = (refusing(), upstream.address);
    let format = "$upstream_addr|$upstream_status|$upstream_response_length|$upstream_connect_time";
    let proxy = formatted(single(&[gone, there]), format);
    for _ in 0..2 {
        assert_eq!(get(proxy.address, "a", "/").status, 200);
    }
    let lines = proxy.log_texts(2);
    let tried = format!("{gone}, {there}|502, 200|0, 2|-, 0.");
    assert!(
        lines.iter().any(|line| line.starts_with(&tried)),
        "{lines:?}"
    );
    let at_once = format!("{there}|200|2|0.");
    assert!(
        lines.iter().any(|line| line.starts_with(&at_once)),
        "{lines:?}"
    );
}

#[test]
fn what_is_no_request_has_a_line_too() {
    let upstream = Upstream::echo("a");
    let proxy = formatted(
        single(&[upstream.address]),
        "\"$request\" $status [$proxy_upstream_name] $fairway_reason",
    );
    assert_eq!(ask(proxy.address, "GARBAGE\r\n\r\n").status, 400);
    assert_eq!(
        ask(
            proxy.address,
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
        )
        .status,
        400
    );
    let lines = proxy.log_texts(2);
    assert_eq!(
        lines,
        [
            "\"\" 400 [-] syntax",
            "\"GET / HTTP/1.1\" 400 [-] repeated_host"
        ]
    );
}

#[test]
fn responses_and_tls_are_told() {
    let upstream = Upstream::start(|mut connection| {
        while connection.head().is_some() {
            connection.answer(
                200,
                "X-Cache: hi\\t\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: x\r\n",
                "ok",
            );
        }
    });
    let config = Config {
        https: vec!["127.0.0.1:0".parse().unwrap()],
        log_format: "$sent_http_x_cache $bytes_sent $scheme $ssl_protocol $ssl_cipher"
            .parse()
            .unwrap(),
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let authority = Authority::new();
    let (certified, _) = authority.issue("a");
    let hosts = [(tls::exact("a"), tls::terminate(Some(certified), None))];
    proxy.tls.store(tls::table(hosts).into());
    let mut connection = tls::open(&proxy, "a", &authority.client(None));
    let response = tls::ask(&mut connection, "a", "").unwrap();
    let line = &proxy.log_texts(1)[0];
    let length = response.len();
    let expected = format!("hi\\x5Ct {length} https TLSv1.3 TLS_AES_256_GCM_SHA384");
    assert_eq!(*line, expected, "{response}");
}

#[test]
fn a_file_is_opened_anew_when_asked() {
    let upstream = Upstream::echo("a");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.log");
    fs::write(&file, "of before\n").unwrap();
    let config = Config {
        access_log: AccessLog::File(file.clone()),
        log_format: "$request_uri".parse().unwrap(),
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let lines = |file: &std::path::Path| fs::read_to_string(file).unwrap_or_default();
    assert_eq!(get(proxy.address, "a", "/1").status, 200);
    wait_for("the first line", || lines(&file) == "of before\n/1\n");

    let moved = directory.path().join("access.log.1");
    fs::rename(&file, &moved).unwrap();
    assert_eq!(get(proxy.address, "a", "/2").status, 200);
    wait_for("the second line", || lines(&moved).ends_with("/1\n/2\n"));
    proxy.reopen_log();
    // Without another line.
    wait_for("a new file", || file.exists());
    assert_eq!(get(proxy.address, "a", "/3").status, 200);
    wait_for("the third line", || lines(&file) == "/3\n");
    assert!(lines(&moved).ends_with("/2\n"));

    // Where it cannot be opened, no line is lost.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    proxy.reopen_log();
    assert_eq!(get(proxy.address, "a", "/4").status, 200);
    fs::remove_dir(&file).unwrap();
    proxy.reopen_log();
    wait_for("a file again", || file.is_file());
    assert_eq!(get(proxy.address, "a", "/5").status, 200);
    wait_for("the fifth line", || lines(&file).ends_with("/5\n"));
}

#[test]
fn lines_that_a_full_disk_costs_are_counted() {
    let upstream = Upstream::echo("a");
    let config = Config {
        access_log: AccessLog::File("/dev/full".into()),
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    for _ in 0..3 {
        assert_eq!(get(proxy.address, "a", "/").status, 200);
    }
    wait_for("three lines that are lost", || {
        proxy.metric("fairway_proxy_access_log_lines_dropped_total") == 3.0
    });
}

#[test]
fn a_file_that_cannot_be_opened_is_said_at_start() {
    let mut cluster = single(&[]);
    let bound = fairway_proxy::bind(Config {
        http: vec!["127.0.0.1:0".parse().unwrap()],
        access_log: AccessLog::File("/nonexistent/access.log".into()),
        ..Config::default()
    })
    .unwrap();
    let routes = std::sync::Arc::new(arc_swap::ArcSwap::from(cluster.index()));
    let served = bound.serve(
        routes,
        crate::proxy::no_tls(),
        fairway_proxy::Metrics::default(),
    );
    let error = served.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("/nonexistent/access.log"), "{source}");
}
