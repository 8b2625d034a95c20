use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::watch;

use super::answer::answer;
use super::body::BoxError;
use super::shared::{Shared, Signals};
use super::tls::Identity;

/// Serves on its own thread, in the network namespace of the caller, until `shared` says stop.
/// `listening` follows [`Signals::serving`].
pub(super) fn spawn(
    listener: std::net::TcpListener,
    identity: Option<Identity>,
    shared: Arc<Shared>,
    listening: watch::Sender<bool>,
) -> io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("apiserver".into())
        .spawn(move || {
            if let Err(error) =
                runtime.block_on(serve(listener, identity.as_ref(), &shared, &listening))
            {
                tracing::error!("the fake API server stopped: {error}");
            }
        })
}

async fn serve(
    listener: std::net::TcpListener,
    identity: Option<&Identity>,
    shared: &Arc<Shared>,
    listening: &watch::Sender<bool>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut listener = TcpListener::from_std(listener)?;
    let mut signals = shared.signals.subscribe();
    let interested = |wanted: bool| move |s: &Signals| s.stopped || s.serving == wanted;
    loop {
        listening.send_replace(true);
        tokio::select! {
            () = accept(&listener, identity, shared) => {}
            _ = signals.wait_for(interested(false)) => {}
        }
        drop(listener);
        listening.send_replace(false);
        let stopped = match signals.wait_for(interested(true)).await {
            Ok(signals) => signals.stopped,
            Err(_owner_gone) => true,
        };
        if stopped {
            return Ok(());
        }
        listener = bind(address).await?;
    }
}

/// The same port again. Connections that were cut may hold it for a moment.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    const ATTEMPTS: u32 = 500;
    for _ in 0..ATTEMPTS {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            result => return result,
        }
    }
    TcpListener::bind(address).await
}

async fn accept(listener: &TcpListener, identity: Option<&Identity>, shared: &Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let shared = Arc::clone(shared);
                tokio::spawn(connection(stream, peer, identity.cloned(), shared));
            }
            Err(error) => {
                tracing::warn!("the fake API server cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    identity: Option<Identity>,
    shared: Arc<Shared>,
) {
    let mut signals = shared.signals.subscribe();
    let Signals { epoch, goaways, .. } = *signals.borrow_and_update();
    let mut told = shared.signals.subscribe();
    let goaway = async move {
        if told.wait_for(|s| s.goaways != goaways).await.is_err() {
            // Whoever could tell is gone, and the connection with it.
            std::future::pending().await
        }
    };
    let _counted = Counted::new(&shared, peer);
    tokio::select! {
        result = speak(stream, identity, &shared, goaway) => {
            if let Err(error) = result {
                tracing::debug!("connection to the fake API server: {error}");
            }
        }
        _ = signals.wait_for(|s| s.stopped || !s.serving || s.epoch != epoch) => {}
    }
}

async fn speak(
    stream: TcpStream,
    identity: Option<Identity>,
    shared: &Arc<Shared>,
    goaway: impl Future<Output = ()>,
) -> Result<(), BoxError> {
    let service = service_fn(|request| answer(Arc::clone(shared), request));
    let mut http1 = http1::Builder::new();
    http1.timer(TokioTimer::new());
    let Some(identity) = identity else {
        http1
            .serve_connection(TokioIo::new(stream), service)
            .await?;
        return Ok(());
    };
    let stream = identity.acceptor.accept(stream).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = TokioIo::new(stream);
    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(identity.streams)
            .serve_connection(stream, service);
        let mut connection = pin!(connection);
        tokio::select! {
            result = &mut connection => return Ok(result?),
            () = goaway => connection.as_mut().graceful_shutdown(),
        }
        connection.await?;
    } else {
        http1.serve_connection(stream, service).await?;
    }
    Ok(())
}

/// A connection is open until this is dropped.
struct Counted<'a> {
    shared: &'a Shared,
    peer: SocketAddr,
}

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared, peer: SocketAddr) -> Self {
        let mut requests = shared.requests();
        requests.connections.open.insert(peer);
        requests.connections.accepted += 1;
        drop(requests);
        Self { shared, peer }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.shared.requests().connections.open.remove(&self.peer);
    }
}
