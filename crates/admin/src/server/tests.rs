use std::net::SocketAddr;

use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    CONTENT_TYPE as METRICS_TYPE, Health, HealthSite, MetricsSite, NodeState, ProcessMetrics,
    Purpose, ServiceProxyMetrics, register_build_info,
};

struct Server {
    address: SocketAddr,
    task: JoinHandle<Infallible>,
}

impl Server {
    fn start(site: impl Site) -> Self {
        let listener = Listener::bind(Purpose::Health, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_address().unwrap();
        let task = tokio::spawn(serve(listener, site));
        Self { address, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The whole answer to one request on a connection of its own.
    async fn ask(&self, method: &str, path: &str) -> Answer {
        let mut stream = self.connect().await;
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        Answer(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n").unwrap();
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").unwrap().1
    }
}

fn metrics_server(metrics: &ServiceProxyMetrics) -> Server {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    ProcessMetrics::register(&mut registry);
    register_build_info(&mut registry, "1.2.3");
    let config = json!({ "nodeName": "node-1" });
    Server::start(MetricsSite::new(
        Arc::new(registry),
        watch::Sender::new(config).subscribe(),
    ))
}

#[tokio::test]
async fn probes_answer_as_kube_proxy_does_and_are_counted() {
    let health = Health::default();
    let metrics = ServiceProxyMetrics::new();
    let probes = metrics.probes();
    let server = Server::start(HealthSite {
        forbidden: Arc::new(Vec::new),
        health: health.clone(),
        probes,
    });

    let answer = server.ask("GET", "/healthz?verbose").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let body: serde_json::Value = serde_json::from_str(answer.body()).unwrap();
    assert_eq!(body["healthy"], true);
    assert_eq!(body["nodeEligible"], true);

    health.set_node(NodeState::Leaving);
    assert_eq!(server.ask("GET", "/healthz").await.status(), 503);
    assert_eq!(server.ask("GET", "/livez").await.status(), 200);

    let text = metrics_server(&metrics).ask("GET", "/metrics").await.0;
    for line in [
        "\nkubeproxy_proxy_healthz_total{code=\"200\"} 1\n",
        "\nkubeproxy_proxy_healthz_total{code=\"503\"} 1\n",
        "\nkubeproxy_proxy_livez_total{code=\"200\"} 1\n",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn the_metrics_port_has_the_pages_that_tools_ask_for() {
    let server = metrics_server(&ServiceProxyMetrics::new());

    let answer = server.ask("GET", "/metrics").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), Some(METRICS_TYPE));
    assert!(
        answer
            .body()
            .contains("\nfairway_build_info{version=\"1.2.3\"} 1\n")
    );
    assert!(answer.body().contains("\nprocess_resident_memory_bytes "));

    assert_eq!(server.ask("GET", "/healthz").await.body(), "ok");
    assert_eq!(server.ask("GET", "/proxyMode").await.body(), "nftables");
    let answer = server.ask("GET", "/configz").await;
    assert_eq!(answer.body(), r#"{"nodeName":"node-1"}"#);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let server = metrics_server(&ServiceProxyMetrics::new());
    for path in ["/", "/healthz/", "/metricsx", "/debug/pprof", "*"] {
        let status = server.ask("GET", path).await.status();
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = server.ask(method, "/healthz").await;
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
    }
    let answer = server.ask("HEAD", "/healthz").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-length"), Some("2"));
    assert_eq!(answer.body(), "");
}

#[tokio::test]
async fn silent_connections_do_not_keep_a_probe_out() {
    let server = metrics_server(&ServiceProxyMetrics::new());
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS + 8 {
        silent.push(server.connect().await);
    }
    assert_eq!(server.ask("GET", "/healthz").await.status(), 200);
    // The probe was the ninth beyond the limit, so the nine oldest are closed by now.
    for stream in &mut silent[..9] {
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
    let newest = silent.last_mut().unwrap();
    newest
        .write_all(b"GET /healthz HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    newest.read_to_string(&mut text).await.unwrap();
    assert!(text.contains(" 200 OK"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_finishes_its_request_is_cut_off() {
    let server = metrics_server(&ServiceProxyMetrics::new());
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: n")
        .await
        .unwrap();
    let mut text = String::new();
    // Time is virtual: the header timeout passes as soon as both sides only wait.
    stream.read_to_string(&mut text).await.unwrap();
    assert!(!text.contains("200"), "{text}");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = metrics_server(&ServiceProxyMetrics::new());
    let mut stream = server.connect().await;
    let head = format!("GET /healthz HTTP/1.1\r\nX: {}", "x".repeat(4 * MAX_HEAD));
    // The server may stop reading, and reset the connection, while we write.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    assert_eq!(server.ask("GET", "/healthz").await.status(), 200);
}
