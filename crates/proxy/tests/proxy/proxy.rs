use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use fairway_proxy::{
    AccessLog, Config, Handle, Metrics, MetricsOptions, TlsSettings, TlsTable, bind, self_signed,
};
use fairway_router::Index;
use prometheus_client::registry::Registry;

use crate::cluster::Cluster;
use crate::upstream::{Upstream, wait_for};

/// A running proxy with one worker, so that what it keeps per worker can be counted.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Where it speaks TLS, if the configuration asks for that.
    pub(crate) https: Option<SocketAddr>,
    pub(crate) tls: Arc<ArcSwap<TlsTable>>,
    pub(crate) routes: Arc<ArcSwap<Index>>,
    pub(crate) cluster: Cluster,
    handle: Option<Handle>,
    registry: Registry,
    log: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    pub(crate) fn start(cluster: Cluster) -> Self {
        Self::configured(cluster, Config::default())
    }

    /// Address, worker count and log are the test's own.
    pub(crate) fn configured(mut cluster: Cluster, config: Config) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let bound = bind(Config {
            http: vec!["127.0.0.1:0".parse().unwrap()],
            workers: 1,
            access_log: match config.access_log {
                AccessLog::File(path) => AccessLog::File(path),
                _ => AccessLog::Writer(log.clone()),
            },
            ..config
        })
        .unwrap();
        let address = bound.local_addresses()[0];
        let https = bound.https_addresses().first().copied();
        let routes = Arc::new(ArcSwap::from(cluster.index()));
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry, &MetricsOptions::default());
        let tls = no_tls();
        let handle = bound.serve(routes.clone(), tls.clone(), metrics).unwrap();
        Self {
            address,
            https,
            tls,
            routes,
            cluster,
            handle: Some(handle),
            registry,
            log,
        }
    }

    /// All requests to one upstream.
    pub(crate) fn to(upstream: &Upstream) -> Self {
        Self::to_all(&[upstream.address])
    }

    pub(crate) fn to_all(endpoints: &[SocketAddr]) -> Self {
        Self::start(single(endpoints))
    }

    /// Takes HTTP/2 in clear text, too.
    pub(crate) fn with_h2c(cluster: Cluster) -> Self {
        let config = Config {
            h2c: true,
            ..Config::default()
        };
        Self::configured(cluster, config)
    }

    /// Puts the cluster's present state in force.
    pub(crate) fn apply(&mut self) {
        self.routes.store(self.cluster.index());
    }

    /// Starts a drain and returns at once; the thread ends when the drain has.
    pub(crate) fn begin_drain(&mut self, grace: Duration) -> std::thread::JoinHandle<()> {
        let handle = self.handle.take().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            runtime.unwrap().block_on(handle.drain(grace));
        })
    }

    /// The access log's lines so far.
    pub(crate) fn log(&self) -> Vec<serde_json::Value> {
        let text = self.log.lock().unwrap().clone();
        let lines = std::str::from_utf8(&text).unwrap().lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits for that many lines in a format of nginx.
    pub(crate) fn log_texts(&self, count: usize) -> Vec<String> {
        let lines = || {
            let text = self.log.lock().unwrap().clone();
            let lines = String::from_utf8(text).unwrap();
            lines.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        wait_for("access log lines", || lines().len() >= count);
        lines()
    }

    /// Asks for the log's file to be opened anew.
    pub(crate) fn reopen_log(&self) {
        self.handle.as_ref().unwrap().reopen_access_log();
    }

    /// Waits for that many lines.
    pub(crate) fn log_lines(&self, count: usize) -> Vec<serde_json::Value> {
        wait_for("access log lines", || self.log().len() >= count);
        self.log()
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// The value of a series, named as in the exposition, without `_total`.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.metrics();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// No host has TLS.
pub(crate) fn no_tls() -> Arc<ArcSwap<TlsTable>> {
    let default = Arc::new(self_signed().unwrap());
    let table = TlsTable::new(&TlsSettings::default(), default).unwrap();
    Arc::new(ArcSwap::from_pointee(table))
}

/// A cluster in which everything goes to one Service, `web`.
pub(crate) fn single(endpoints: &[SocketAddr]) -> Cluster {
    let mut cluster = Cluster::default();
    cluster.service("web", endpoints);
    cluster.route(None, "/", "web");
    cluster
}
