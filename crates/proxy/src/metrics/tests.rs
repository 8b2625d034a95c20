use std::time::Duration;

use fairway_model::{
    Action, Backend, BackendPort, HostPattern, HostRoutes, ObjectName, ObjectRef, PathMatch, Port,
    RequestMatch, Rule, RuleId,
};
use prometheus_client::encoding::text::encode;

use super::*;
use crate::error::Rejection;

fn rule(path: &str, service: &str) -> Rule {
    let id = RuleId {
        object: ObjectRef {
            kind: "Ingress",
            name: ObjectName::new("shop", "front"),
        },
        field: "spec.rules[0].http.paths[0]".into(),
    };
    Rule::new(
        id,
        RequestMatch::path(PathMatch::Prefix(path.into())),
        Action::Forward(vec![Backend {
            service: ObjectName::new("shop", service),
            port: BackendPort::Number(Port::new(80).unwrap()),
            weight: 1,
        }]),
    )
}

fn labels(host: &str, path: &str, service: &str) -> RouteLabels {
    RouteLabels {
        host: host.to_owned(),
        path: path.to_owned(),
        namespace: "shop".to_owned(),
        ingress: "front".to_owned(),
        service: service.to_owned(),
        port: "80".to_owned(),
    }
}

fn finished(method: Method, status: u16) -> Finished {
    Finished {
        method,
        status,
        duration: Duration::from_millis(3),
        upstream: Some(Duration::from_millis(2)),
        received: 1,
        sent: 100,
    }
}

fn metrics(most_routes: usize) -> (Metrics, Registry) {
    let mut registry = Registry::default();
    let options = MetricsOptions {
        most_routes,
        ingress_nginx: Some(ControllerLabels {
            class: "k8s.io/ingress-nginx".to_owned(),
            namespace: "ingress".to_owned(),
            pod: "pod-1".to_owned(),
        }),
    };
    let metrics = Metrics::register(&mut registry, &options);
    (metrics, registry)
}

fn scrape(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    text
}

fn value(registry: &Registry, series: &str) -> Option<f64> {
    let text = scrape(registry);
    let mut lines = text.lines();
    lines.find_map(|line| {
        let value = line.strip_prefix(series)?.strip_prefix(' ')?;
        value.parse().ok()
    })
}

#[test]
fn workers_are_added_up() {
    let (metrics, registry) = metrics(10);
    let shards = [(); 2].map(|()| metrics.shard());
    for shard in &shards {
        let series = shard.route(labels("a", "/", "web"));
        for status in [200, 200, 599, 999] {
            series.start();
            series.finish(&finished(Method::Get, status));
        }
        series.start();
        series.upstream.as_ref().unwrap().tries.add(5);
    }
    let of_route =
        "host=\"a\",path=\"/\",namespace=\"shop\",ingress=\"front\",service=\"web\",port=\"80\"";
    for (series, expected) in [
        (
            format!("requests_total{{{of_route},method=\"GET\",code=\"200\"}}"),
            4.0,
        ),
        (
            format!("requests_total{{{of_route},method=\"GET\",code=\"5xx\"}}"),
            2.0,
        ),
        (
            format!("requests_total{{{of_route},method=\"GET\",code=\"other\"}}"),
            2.0,
        ),
        (format!("requests_in_flight{{{of_route}}}"), 2.0),
        (format!("request_duration_seconds_count{{{of_route}}}"), 8.0),
        (format!("request_duration_seconds_sum{{{of_route}}}"), 0.024),
        (
            format!("request_duration_seconds_bucket{{le=\"0.001\",{of_route}}}"),
            0.0,
        ),
        (
            format!("request_duration_seconds_bucket{{le=\"0.005\",{of_route}}}"),
            8.0,
        ),
        (
            format!("request_duration_seconds_bucket{{le=\"+Inf\",{of_route}}}"),
            8.0,
        ),
        (
            format!("upstream_response_duration_seconds_sum{{{of_route}}}"),
            0.016,
        ),
        (format!("request_body_bytes_total{{{of_route}}}"), 8.0),
        (format!("response_body_bytes_total{{{of_route}}}"), 800.0),
        (
            "upstream_tries_total{namespace=\"shop\",service=\"web\",port=\"80\"}".to_owned(),
            10.0,
        ),
    ] {
        let series = format!("fairway_proxy_{series}");
        assert_eq!(value(&registry, &series), Some(expected), "{series}");
    }
}

#[test]
fn routes_beyond_the_limit_share_a_series() {
    let (metrics, registry) = metrics(2);
    let shards = [metrics.shard(), metrics.shard()];
    for path in ["/a", "/b", "/c", "/d"] {
        for shard in &shards {
            let series = shard.route(labels("a", path, "web"));
            series.finish(&finished(Method::Get, 200));
        }
    }
    // What met no route has its own all the same.
    let unrouted = shards[0].route(RouteLabels::default());
    unrouted.finish(&finished(Method::Get, 404));
    let text = scrape(&registry);
    let counts = |part: &str| {
        let lines = text.lines();
        let of_requests = lines.filter(|line| line.starts_with("fairway_proxy_requests_total"));
        of_requests.filter(|line| line.contains(part)).count()
    };
    assert_eq!(
        [
            counts("path=\"/"),
            counts("path=\"other\""),
            counts("path=\"\"")
        ],
        [2, 1, 1]
    );
    let other = "host=\"other\",path=\"other\",namespace=\"other\",ingress=\"other\",\
                 service=\"other\",port=\"other\"";
    let other = format!("fairway_proxy_requests_total{{{other},method=\"GET\",code=\"200\"}}");
    assert_eq!(value(&registry, &other), Some(4.0));
}

#[test]
fn series_go_with_their_routes_and_make_room() {
    let (metrics, registry) = metrics(2);
    let shard = metrics.shard();
    let host = HostPattern::Exact("a".into());
    let mut routes = HostRoutes {
        rules: vec![rule("/a", "web"), rule("/b", "api")],
        ..HostRoutes::default()
    };
    let gone = shard.route(labels("a", "/a", "web"));
    let stays = shard.route(labels("a", "/b", "api"));
    metrics.routes_changed(&host, Some(&routes));
    assert!(!gone.is_retired() && !stays.is_retired());

    routes.rules.remove(0);
    metrics.routes_changed(&host, Some(&routes));
    assert!(gone.is_retired() && !stays.is_retired());
    drop(gone);
    let text = scrape(&registry);
    assert!(
        !text.contains("path=\"/a\"") && text.contains("path=\"/b\""),
        "{text}"
    );
    assert!(!text.contains("service=\"web\"") && text.contains("service=\"api\""));

    // A route that comes back starts anew, and other hosts are left alone.
    let elsewhere = shard.route(labels("b", "/", "web"));
    assert_eq!(elsewhere.labels.host, "b");
    metrics.routes_changed(&host, None);
    assert!(stays.is_retired() && !elsewhere.is_retired());
    let back = shard.route(labels("a", "/b", "api"));
    assert!(!back.is_retired());
}

/// What the dashboards of ingress-nginx select by.
#[test]
fn dashboards_of_ingress_nginx_find_their_series() {
    let (metrics, registry) = metrics(10);
    let shard = metrics.shard();
    shard.accepted.add(3);
    shard.closed.add(1);
    for port in ["80", "81"] {
        let series = shard.route(RouteLabels {
            port: port.to_owned(),
            ..labels("a", "/", "web")
        });
        series.finish(&finished(Method::Post, 502));
    }
    let controller = "controller_class=\"k8s.io/ingress-nginx\",controller_namespace=\"ingress\",\
                      controller_pod=\"pod-1\"";
    let request = format!(
        "status=\"502\",method=\"POST\",path=\"/\",namespace=\"shop\",ingress=\"front\",\
         service=\"web\",canary=\"\",host=\"a\",{controller}"
    );
    for (series, expected) in [
        (format!("requests{{{request}}}"), 2.0),
        (
            format!("request_duration_seconds_bucket{{le=\"0.005\",{request}}}"),
            2.0,
        ),
        (format!("request_duration_seconds_count{{{request}}}"), 2.0),
        (format!("response_duration_seconds_sum{{{request}}}"), 0.004),
        (format!("request_size_sum{{{request}}}"), 2.0),
        (format!("response_size_sum{{{request}}}"), 200.0),
        (
            format!("response_size_bucket{{le=\"100.0\",{request}}}"),
            2.0,
        ),
        (
            format!("nginx_process_connections{{state=\"active\",{controller}}}"),
            2.0,
        ),
        (
            format!("nginx_process_connections_total{{state=\"accepted\",{controller}}}"),
            3.0,
        ),
        (format!("nginx_process_requests_total{{{controller}}}"), 2.0),
    ] {
        let series = format!("nginx_ingress_controller_{series}");
        assert_eq!(value(&registry, &series), Some(expected), "{series}");
    }
}

#[test]
fn labels_cannot_break_the_exposition() {
    let (metrics, registry) = metrics(2);
    let path = "/a\"} 1\nb\\";
    let series = metrics.shard().route(labels("a", path, "web"));
    series.finish(&finished(Method::Get, 200));
    let text = scrape(&registry);
    assert!(text.contains("path=\"/a\\\"} 1\\nb\\\\\""), "{text}");
}

#[test]
fn what_threads_have_counted_that_ended_is_told_in_every_registry_and_kept_once() {
    let (metrics, registry) = metrics(10);
    let mut another = Registry::default();
    metrics.register_again(&mut another, &MetricsOptions::default());
    for _ in 0..3 {
        let shard = metrics.shard();
        shard.accepted.add(2);
        shard.closed.add(1);
        shard.rejected(Rejection::Misdirected);
        let series = shard.route(labels("web", "/", "web"));
        series.start();
        series.start();
        series.finish(&finished(Method::Get, 200));
        series.upstream.as_ref().unwrap().tries.add(1);
    }
    let living = metrics.shard();
    living.accepted.add(1);
    assert_eq!(
        metrics.shards.all().len(),
        2,
        "one of the dead, one that lives"
    );
    for registry in [&registry, &another] {
        let of_route = "host=\"web\",path=\"/\",namespace=\"shop\",ingress=\"front\",service=\"web\",port=\"80\"";
        let told = |name: &str| value(registry, &format!("fairway_proxy_{name}"));
        assert_eq!(told("client_connections_accepted_total"), Some(7.0));
        assert_eq!(told("client_connections"), Some(1.0), "the living one's");
        let requests = format!("requests_total{{{of_route},method=\"GET\",code=\"200\"}}");
        assert_eq!(told(&requests), Some(3.0), "{}", scrape(registry));
        let in_flight = format!("requests_in_flight{{{of_route}}}");
        assert_eq!(told(&in_flight), Some(0.0), "whatever cut them off");
        let rejected = "rejected_requests_total{reason=\"misdirected\"}";
        assert_eq!(told(rejected), Some(3.0), "{}", scrape(registry));
    }
    metrics.routes_changed(&HostPattern::Exact("web".into()), None);
    assert!(
        !scrape(&registry).contains("host=\"web\""),
        "declared no more"
    );
}
