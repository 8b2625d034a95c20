//! What operators see of traffic: access log, metrics, traces.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use fairway_testkit::certificates::Authority;
use fairway_testkit::objects::{ingress, tls_secret};
use fairway_testkit::{Lab, ask, lab};
use rustix::process::Signal;

use super::site::Site;
use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(
    series_are_of_what_is_declared,
    until_when_certificates_are_valid_is_told
);

fn site(feed: Feed, flags: &[&str]) -> Site {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let site = Site::new(Cluster::new(feed, lab).with_flags(flags));
    site.apply_apps(&["web"]);
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web.example", "/shop", "web", 80)]);
    site
}

fn scrape(site: &Site) -> String {
    let node = site.lab().node("node-1").ns();
    let address = SocketAddr::from(([127, 0, 0, 1], 10249));
    let metrics = ask::http_get(node, address, "node", "/metrics").unwrap();
    String::from_utf8(metrics.body.to_vec()).unwrap()
}

/// The value of a series, written as in the exposition.
fn value(text: &str, series: &str) -> Option<f64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn the_log_is_as_nginx_writes_it_and_its_file_opened_anew() {
    lab::test(|| {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("access.log");
        let file = format!("--access-log={}", log.display());
        let format =
            "--access-log-format=$request|$status|$proxy_upstream_name|$upstream_status|$trace_id";
        let site = site(Feed::Manifests, &[&file, format, "--tracing"]);
        site.start();
        let lines = |path: &Path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(site.answers("web.example", "/shop?a=1"), "web");
        becomes(1, "the number of lines", || lines(&log).len());
        let line = lines(&log).remove(0);
        let (line, trace) = line.rsplit_once('|').unwrap();
        assert_eq!(line, "GET /shop?a=1 HTTP/1.1|200|default-web-80|200");
        assert!(
            trace.len() == 32 && trace.bytes().all(|it| it.is_ascii_hexdigit()),
            "{trace}"
        );

        let moved = directory.path().join("access.log.1");
        fs::rename(&log, &moved).unwrap();
        site.agent("node-1").signal(Signal::USR1);
        becomes(true, "a new file is there", || log.exists());
        assert_eq!(site.answers("web.example", "/"), "404");
        becomes(1, "the number of lines", || lines(&log).len());
        assert!(
            lines(&log)[0].starts_with("GET / HTTP/1.1|404|-|-|"),
            "{:?}",
            lines(&log)
        );
        assert_eq!(lines(&moved).len(), 1);
    });
}

#[test]
fn endpoints_are_told_the_trace() {
    lab::test(|| {
        let site = site(Feed::Manifests, &["--tracing", "--trace-sample-ratio=1"]);
        site.start();
        let answer = site.get("web.example", "/shop").answer().unwrap();
        let told = answer
            .headers
            .iter()
            .find(|(name, _)| name == "traceparent");
        let (_, told) = told.expect("a trace");
        assert!(
            told.starts_with("00-") && told.ends_with("-01") && told.len() == 55,
            "{told}"
        );
    });
}

fn series_are_of_what_is_declared(feed: Feed) {
    let site = site(feed, &["--ingress-nginx-metrics"]);
    let other = ingress("other").class("fairway");
    site.apply("other", [other.prefix("other.example", "/", "web", 80)]);
    site.start();
    for _ in 0..3 {
        assert_eq!(site.answers("web.example", "/shop/cart"), "web");
    }
    assert_eq!(site.answers("other.example", "/"), "web");
    let labels = "host=\"web.example\",path=\"/shop\",namespace=\"default\",ingress=\"web\",\
                  service=\"web\",port=\"80\"";
    let requests = format!("fairway_proxy_requests_total{{{labels},method=\"GET\",code=\"200\"}}");
    becomes(Some(3.0), &requests, || value(&scrape(&site), &requests));

    // Hosts, paths and methods of the client's choice make no series.
    let count = || {
        scrape(&site)
            .lines()
            .filter(|line| line.starts_with("fairway_proxy_"))
            .count()
    };
    assert_eq!(site.answers("nobody.example", "/"), "404");
    let before = count();
    for number in 0..50 {
        assert_eq!(site.answers(&format!("host-{number}.example"), "/"), "404");
        assert_eq!(
            site.answers("web.example", &format!("/shop/{number}")),
            "web"
        );
    }
    becomes(Some(53.0), &requests, || value(&scrape(&site), &requests));
    assert_eq!(count(), before);

    // What is declared no more is told no more.
    assert!(scrape(&site).contains("other.example"));
    site.delete("other");
    becomes(false, "other.example in the scrape", || {
        scrape(&site).contains("other.example")
    });
    assert_eq!(value(&scrape(&site), &requests), Some(53.0));
}

/// Every name that the documentation promises.
#[test]
fn what_the_documentation_names_is_there() {
    lab::test(|| {
        let site = site(Feed::Manifests, &["--ingress-nginx-metrics"]);
        site.start();
        assert_eq!(site.answers("web.example", "/shop"), "web");
        let text = scrape(&site);
        let told: BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/observability.md");
        let documentation = fs::read_to_string(path).unwrap();
        let rows = documentation
            .lines()
            .filter_map(|line| line.strip_prefix("| `"));
        let named: BTreeSet<_> = rows
            .filter_map(|row| row.split('`').next())
            .filter(|name| ["fairway_", "nginx_"].iter().any(|it| name.starts_with(it)))
            .collect();
        assert!(named.len() > 40, "{named:?}");
        let missing: Vec<_> = named.difference(&told).collect();
        assert!(missing.is_empty(), "{missing:?}");
        // And the other way round, of what is ours.
        let is_ours = |name: &&&str| {
            let ours = ["fairway_proxy_", "fairway_tls_", "nginx_"];
            ours.iter().any(|it| name.starts_with(it))
        };
        let silent: Vec<_> = told.difference(&named).filter(is_ours).collect();
        assert!(silent.is_empty(), "not documented: {silent:?}");
    });
}

fn until_when_certificates_are_valid_is_told(feed: Feed) {
    let site = site(feed, &["--ingress-nginx-metrics"]);
    let root = Authority::new("test root").unwrap();
    let issued = root.server(&["safe.example"]).unwrap();
    site.apply("secret", [tls_secret("safe", &issued).build()]);
    let safe = ingress("safe").class("fairway");
    let safe = safe.prefix("safe.example", "/", "web", 80);
    site.apply("safe", [safe.tls(&["safe.example"], "safe")]);
    site.start();
    let (_, certificate) = x509_parser::parse_x509_certificate(&issued.der).unwrap();
    let expected = certificate.validity().not_after.timestamp() as f64;
    let ours = "fairway_tls_certificate_not_after_timestamp_seconds{namespace=\"default\",secret=\"safe\"}";
    let dashboards = "nginx_ingress_controller_ssl_expire_time_seconds{class=\"fairway.dev/ingress\",\
                      host=\"safe.example\",namespace=\"default\",secret_name=\"safe\"}";
    for series in [ours, dashboards] {
        becomes(Some(expected), series, || value(&scrape(&site), series));
    }
    site.delete("safe");
    becomes(None, ours, || value(&scrape(&site), ours));
}
