//! Servers that say who they are and whom they saw.

mod http;
mod lines;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc as queue, watch};
use tokio::time::sleep;

use crate::lab::Namespace;

/// Who a server says it is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The pod's name, or what stands for it.
    pub pod: String,
    /// The node's name.
    pub node: String,
}

/// The echo servers of one pod, or of a process on a node. They end with their namespace.
#[derive(Debug)]
pub struct Echo {
    namespace: Namespace,
    identity: Arc<Identity>,
    addresses: Vec<IpAddr>,
    draining: watch::Sender<bool>,
    /// Each listener and conversation holds a clone; when all are gone the servers are idle.
    busy: std::sync::Mutex<Option<queue::Sender<()>>>,
    idle: tokio::sync::Mutex<queue::Receiver<()>>,
}

/// What a listener and its conversations share.
#[derive(Clone)]
struct Serving {
    identity: Arc<Identity>,
    draining: watch::Receiver<bool>,
    _busy: queue::Sender<()>,
}

impl Echo {
    /// The port where pods of a lab echo lines, TCP and UDP.
    pub const LINES: u16 = 9000;
    /// The port where pods of a lab serve HTTP.
    pub const HTTP: u16 = 8080;

    /// Servers on these addresses of a namespace; none listens yet.
    pub fn new(namespace: &Namespace, identity: Identity, addresses: &[IpAddr]) -> Self {
        let (busy, idle) = queue::channel(1);
        Self {
            namespace: namespace.clone(),
            identity: Arc::new(identity),
            addresses: addresses.to_vec(),
            draining: watch::Sender::new(false),
            busy: std::sync::Mutex::new(Some(busy)),
            idle: tokio::sync::Mutex::new(idle),
        }
    }

    /// Answers each line on a TCP port, and each datagram on the UDP port of the same number, with
    /// a line `pod peer-address:port own-address:port`.
    ///
    /// # Errors
    ///
    /// When the port is in use, or the servers are draining.
    pub fn serve_lines(&self, port: u16) -> Result<()> {
        self.listen(port, lines::serve_stream)?;
        let serving = self.serving()?;
        let sockets = self.bind(
            port,
            |address| async move { UdpSocket::bind(address).await },
        )?;
        for socket in sockets {
            let task = lines::serve_datagrams(socket, serving.clone());
            self.namespace.spawn_task(task);
        }
        Ok(())
    }

    /// Answers HTTP/1.1 requests on a TCP port with what it saw of them, as JSON that
    /// [`Answer`](crate::ask::Answer) reads. The query of a request can ask for something else:
    ///
    /// | query | effect |
    /// | --- | --- |
    /// | `delay=MS` | waits so long before it answers |
    /// | `status=CODE` | the status, 200 to 599 |
    /// | `header=NAME:VALUE` | a response header; may be repeated |
    /// | `bytes=N` | a body of N letters instead of JSON, of declared length |
    /// | `chunks=N` | a chunked body of N lines `chunk 1`, `chunk 2`, ... instead |
    /// | `every=MS` | the time between two chunks |
    /// | `mirror` | a chunked body that repeats the request's while it arrives |
    ///
    /// A request with an `Upgrade` header is upgraded, to a connection that echoes bytes.
    ///
    /// # Errors
    ///
    /// When the port is in use, or the servers are draining.
    pub fn serve_http(&self, port: u16) -> Result<()> {
        self.listen(port, http::serve_stream)
    }

    /// Stops accepting, and waits until what is open has been closed by its clients. HTTP
    /// connections are closed after the response under way.
    ///
    /// Returns whether all were closed in time.
    pub fn drain(&self, within: Duration) -> bool {
        self.draining.send_replace(true);
        if let Ok(mut busy) = self.busy.lock() {
            *busy = None;
        }
        self.namespace.block_on(async {
            let mut idle = self.idle.lock().await;
            // Nothing is ever sent: the channel is read until its last sender is gone.
            let closed = tokio::time::timeout(within, idle.recv()).await;
            closed.is_ok()
        })
    }

    fn listen<F>(
        &self,
        port: u16,
        serve: impl Fn(TcpStream, Serving) -> F + Copy + Send + 'static,
    ) -> Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let serving = self.serving()?;
        let listeners = self.bind(
            port,
            |address| async move { TcpListener::bind(address).await },
        )?;
        for listener in listeners {
            self.namespace
                .spawn_task(accept(listener, serving.clone(), serve));
        }
        Ok(())
    }

    fn bind<S, F>(
        &self,
        port: u16,
        bind: impl Fn(SocketAddr) -> F + Send + 'static,
    ) -> Result<Vec<S>>
    where
        S: Send + 'static,
        F: Future<Output = io::Result<S>> + Send,
    {
        let addresses = self.addresses.clone();
        let (sender, receiver) = mpsc::sync_channel(1);
        self.namespace.spawn_task(async move {
            let mut bound = Vec::new();
            for address in addresses {
                let address = SocketAddr::new(address, port);
                let socket = bind(address).await;
                bound.push(socket.with_context(|| format!("cannot listen on {address}")));
            }
            // The caller waits for it.
            let _ = sender.send(bound);
        });
        let bound = receiver.recv().context("the namespace has ended")?;
        bound.into_iter().collect()
    }

    fn serving(&self) -> Result<Serving> {
        let busy = self.busy.lock().ok().and_then(|busy| busy.clone());
        Ok(Serving {
            identity: Arc::clone(&self.identity),
            draining: self.draining.subscribe(),
            _busy: busy.context("the servers are draining")?,
        })
    }
}

impl Serving {
    /// Returns once the servers are to stop.
    async fn drained(&mut self) {
        // An error means that the `Echo` was dropped: serve on, the namespace decides.
        if self.draining.wait_for(|draining| *draining).await.is_err() {
            std::future::pending().await
        }
    }
}

async fn accept<F>(
    listener: TcpListener,
    mut serving: Serving,
    serve: impl Fn(TcpStream, Serving) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let stream = tokio::select! {
            // Whom the kernel has accepted already is still served.
            biased;
            accepted = listener.accept() => accepted,
            () = serving.drained() => return,
        };
        match stream {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, serving.clone()))),
            Err(error) => {
                tracing::warn!(%error, pod = serving.identity.pod, "cannot accept");
                // Usually out of file descriptors, which passes, but not at once.
                sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
