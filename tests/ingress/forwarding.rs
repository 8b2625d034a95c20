//! What a pod is told about the client, and what concerns one connection only.

use bytes::Bytes;
use fairway_testkit::ask::{self, Answer, Response};
use fairway_testkit::lab::Host;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Family, Lab, lab};
use http::{Request, header};

use super::site::Site;
use crate::support::{Cluster, Feed};

/// A router that believes the load balancer.
fn site() -> Site {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let cluster = Cluster::new(Feed::Manifests, lab);
    let balancer = Family::BOTH.map(|family| cluster.lab().balancer().ip(family).to_string());
    let trusted = format!("--trusted-proxies={}", balancer.join(","));
    let site = Site::new(cluster.with_flags(&[&trusted]));
    site.apply_apps(&["web"]);
    site.apply(
        "web",
        [ingress("web")
            .class("fairway")
            .prefix("web", "/", "web", 80)],
    );
    site.start();
    site
}

fn ask(site: &Site, from: &Host, family: Family, path: &str, headers: &[(&str, &str)]) -> Response {
    let server = (site.lab().nodes()[0].ip(family), Site::ROUTER).into();
    let request = Request::get(path).header(header::HOST, "web:8080");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    ask::http(from.ns(), server, request.body(Bytes::new()).unwrap()).unwrap()
}

fn told(answer: &Answer, name: &str) -> String {
    answer.header(name).join(" | ")
}

#[test]
fn only_a_trusted_proxy_is_believed() {
    lab::test(|| {
        let site = site();
        let claims = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-real-ip", "192.0.2.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "claimed.example.com"),
            ("x-forwarded-port", "443"),
            ("forwarded", "for=192.0.2.3"),
        ];
        for family in Family::BOTH {
            let client = site.lab().client();
            let own = client.ip(family).to_string();
            let answer = ask(&site, client, family, "/", &claims).answer().unwrap();
            for (name, expected) in [
                ("x-forwarded-for", own.as_str()),
                ("x-real-ip", &own),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "web:8080"),
                ("forwarded", ""),
            ] {
                assert_eq!(told(&answer, name), expected, "{name} from a stranger");
            }
            assert_ne!(told(&answer, "x-forwarded-port"), "443");

            let balancer = site.lab().balancer();
            let answer = ask(&site, balancer, family, "/", &claims).answer().unwrap();
            for (name, expected) in [
                (
                    "x-forwarded-for",
                    format!("192.0.2.1, {}", balancer.ip(family)).as_str(),
                ),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "claimed.example.com"),
                ("x-forwarded-port", "443"),
            ] {
                assert_eq!(told(&answer, name), expected, "{name} from the balancer");
            }
        }
    });
}

#[test]
fn headers_of_a_connection_stay_on_it() {
    lab::test(|| {
        let site = site();
        let client = site.lab().client();
        let headers = [
            (
                "connection",
                "x-real-ip, x-forwarded-for, x-mine, keep-alive",
            ),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers, gzip"),
            ("upgrade", "h2c"),
            ("proxy", "http://192.0.2.1"),
            ("x_underscored", "1"),
            ("x-yours", "kept"),
        ];
        let path =
            "/?header=connection:x-theirs&header=x-theirs:1&header=keep-alive:x&header=x-ours:1";
        let response = ask(&site, client, Family::V4, "/", &headers);
        let answer = response.answer().unwrap();
        let own = client.ip(Family::V4).to_string();
        for (name, expected) in [
            ("x-real-ip", own.as_str()),
            ("x-forwarded-for", &own),
            ("x-mine", ""),
            ("keep-alive", ""),
            ("proxy-connection", ""),
            ("te", "trailers"),
            ("upgrade", ""),
            ("proxy", ""),
            ("x_underscored", ""),
            ("x-yours", "kept"),
        ] {
            assert_eq!(told(&answer, name), expected, "{name} to the pod");
        }
        let response = ask(&site, client, Family::V4, path, &[]);
        assert_eq!(response.header("x-theirs"), None);
        assert_eq!(response.header("x-ours"), Some("1"));
        assert_ne!(response.header("keep-alive"), Some("x"));
    });
}
