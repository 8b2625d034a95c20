//! A fake Kubernetes API server: enough of the real one's behaviour for kube-rs and kubectl to
//! believe it, and able to misbehave in the ways in which real ones do.
//!
//! Serves get, list (in pages, with selectors), watch (with bookmarks and streaming lists), create,
//! update, patch (merge and server-side apply, where lists are replaced whole), delete and the
//! status subresource, for the kinds that fairway touches. Objects are not validated beyond their
//! identity: tests want to serve bad ones. Events are, as fairway writes them. It has no OpenAPI document, so that `kubectl apply` needs
//! `--validate=false`.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use fairway_testkit::apiserver::{ApiServer, Fault, Verb};
//!
//! let server = ApiServer::start()?;
//! server.apply_yaml("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIP: 10.0.0.1}}")?;
//! println!("kubectl --server {} get services", server.url());
//! server.inject(Fault::forbid("endpointslices").on(Verb::List));
//! server.go_away();
//! server.come_back();
//! # Ok(()) }
//! ```

mod answer;
mod body;
mod event;
mod failure;
mod faults;
mod list;
mod listener;
mod managed;
mod objects;
mod patch;
mod resource;
mod selector;
mod service;
mod shared;
mod store;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod watching;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use data_encoding::BASE64;
use tls::Identity;
use tokio::sync::watch;

pub use body::{BoxError, ResponseBody};
pub use failure::Failure;
pub use faults::{Effect, Fault};
pub use service::ApiService;
pub use shared::Request;
use shared::Shared;
pub use target::Verb;
pub use tls::Secure;

/// Longest wait for a listener to open or close.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server. It ends, with all its connections, when this is dropped.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// PEM: who signed its certificate, if it speaks TLS.
    authority: Option<String>,
    listening: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

impl ApiServer {
    /// Serves on a free port of 127.0.0.1, on its own thread, in the network namespace of the caller.
    ///
    /// # Errors
    ///
    /// When there is no port or no thread to be had.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)
    }

    /// Serves on a listener. After [`come_back`](Self::come_back) its address is bound again, in the
    /// network namespace of the thread that called this.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub fn start_on(listener: TcpListener) -> anyhow::Result<Self> {
        Self::start_with(listener, None)
    }

    /// Serves TLS on a free port of 127.0.0.1; otherwise as [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// When there is no port, no key or no thread to be had.
    pub fn start_secure(secure: Secure) -> anyhow::Result<Self> {
        Self::start_secure_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, secure)
    }

    /// Serves TLS on a listener, with a certificate for its address; otherwise as
    /// [`start_on`](Self::start_on).
    ///
    /// # Errors
    ///
    /// When there is no key or no thread to be had.
    pub fn start_secure_on(listener: TcpListener, secure: Secure) -> anyhow::Result<Self> {
        let identity = Identity::new(secure, &listener.local_addr()?.ip().to_string())?;
        Self::start_with(listener, Some(identity))
    }

    fn start_with(listener: TcpListener, identity: Option<Identity>) -> anyhow::Result<Self> {
        let authority = identity.as_ref().map(|it| it.authority.clone());
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (sender, listening) = watch::channel(true);
        let thread = listener::spawn(listener, identity, Arc::clone(&shared), sender)
            .context("the fake API server does not start")?;
        Ok(Self {
            shared,
            address,
            authority,
            listening,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// A kubeconfig whose current context is this server.
    pub fn kubeconfig(&self) -> String {
        let url = self.url();
        let trust = self.authority.as_ref().map_or(String::new(), |pem| {
            let pem = BASE64.encode(pem.as_bytes());
            format!(", certificate-authority-data: {pem}")
        });
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters: [{{name: fake, cluster: {{server: \"{url}\"{trust}}}}}]\n\
             users: [{{name: test, user: {{}}}}]\n\
             contexts: [{{name: fake, context: {{cluster: fake, user: test}}}}]\n\
             current-context: fake\n"
        )
    }

    /// Writes [`kubeconfig`](Self::kubeconfig) to a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_kubeconfig(&self, path: impl AsRef<Path>) -> anyhow::Result<()> {
        let path = path.as_ref();
        std::fs::write(path, self.kubeconfig())
            .with_context(|| format!("writing {}", path.display()))
    }

    /// The server without a socket, as the service of a client in the same process. Its answers
    /// come on the caller's runtime, so that paused time works.
    pub fn service(&self) -> ApiService {
        ApiService::new(Arc::clone(&self.shared))
    }

    /// Misbehaves from now on. Of several faults for a request the oldest is used.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults().inject(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.shared.faults().heal();
    }

    /// Forgets the history, as etcd does every few minutes: whoever comes with an older version or
    /// continues a list gets 410. Watches that have seen everything go on.
    pub fn compact(&self) {
        self.shared.change(store::Store::compact);
    }

    /// Cuts all connections. New ones are accepted.
    pub fn drop_connections(&self) {
        self.shared
            .signals
            .send_modify(|signals| signals.epoch += 1);
    }

    /// Tells the clients of HTTP/2 by GOAWAY to send what comes next on another connection, as API
    /// servers do now and then to spread their load. What is under way goes on.
    pub fn send_goaway(&self) {
        self.shared
            .signals
            .send_modify(|signals| signals.goaways += 1);
    }

    /// Ends all watches as though their time were over.
    pub fn end_watches(&self) {
        self.shared.signals.send_modify(|signals| signals.ends += 1);
    }

    /// Closes the listener and cuts all connections; from when this returns, connections are refused.
    pub fn go_away(&self) {
        self.set_serving(false);
    }

    /// Listens again, on the same port.
    pub fn come_back(&self) {
        self.set_serving(true);
    }

    fn set_serving(&self, serving: bool) {
        self.shared.signals.send_modify(|signals| {
            signals.serving = serving;
            // Whoever looks only after it came back must not think that it never was away.
            signals.epoch += 1;
        });
        let deadline = Instant::now() + PATIENCE;
        while *self.listening.borrow() != serving {
            assert!(Instant::now() < deadline, "the fake API server is stuck");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a bookmark to all watches that want them.
    pub fn send_bookmarks(&self) {
        self.shared
            .signals
            .send_modify(|signals| signals.bookmarks += 1);
    }

    /// How often watches that begin from now on send a bookmark by themselves; a minute unless told.
    pub fn set_bookmark_interval(&self, interval: Duration) {
        self.shared
            .signals
            .send_modify(|signals| signals.bookmark_interval = interval);
    }

    /// How many requests there were for a kind, given as in the URL, for example `services`.
    pub fn count(&self, verb: Verb, plural: &str) -> usize {
        let requests = self.shared.requests();
        let mut counts = requests.counts.iter();
        counts
            .find(|((p, v), _)| *p == plural && *v == verb)
            .map_or(0, |(_, count)| *count)
    }

    /// How many watches of a kind are open now.
    pub fn watchers(&self, plural: &str) -> usize {
        let requests = self.shared.requests();
        requests.watchers.get(plural).copied().unwrap_or(0)
    }

    /// How many connections are open now.
    pub fn connections(&self) -> usize {
        self.shared.requests().connections.open.len()
    }

    /// Whose connections are open now.
    pub fn peers(&self) -> Vec<SocketAddr> {
        let requests = self.shared.requests();
        requests.connections.open.iter().copied().collect()
    }

    /// How many connections there ever were.
    pub fn accepted(&self) -> usize {
        self.shared.requests().connections.accepted
    }

    /// The latest requests, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests().recent.iter().cloned().collect()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.shared
            .signals
            .send_modify(|signals| signals.stopped = true);
        if let Some(thread) = self.thread.take() {
            // It panicked, and said so; there is nothing to add while dropping.
            drop(thread.join());
        }
    }
}
