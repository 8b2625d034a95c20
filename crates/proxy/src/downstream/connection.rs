//! The life of a client connection: requests, then a tunnel or an orderly end.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;

use super::arrival::Arrival;
use super::http2;
use super::lingering::linger;
use super::parked;
use super::watch::{Stall, Upload, Watch};
use super::wire::Wire;
use crate::body::ResponseBody;
use crate::clock::Tick;
use crate::config::Protocol;
use crate::error::Rejection;
use crate::exchange;
use crate::forwarding::{self, Sender};
use crate::observed::Observed;
use crate::record::Record;
use crate::stream::Stream;
use crate::tls::Session;
use crate::tunnel::Tunnel;
use crate::worker::Worker;

/// A connection gets this long, idle since a drain has begun, for a last request, whose response says so:
/// closed at once, it could meet a request on its way. nginx has `keepalive_min_timeout` for this.
const LAST_REQUEST: Duration = Duration::from_secs(2);

const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\nserver: fairway\r\n\r\n";
const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\nserver: fairway\r\n\r\n";

/// What the requests of one connection share.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) wire: Rc<Wire>,
    pub(crate) sender: Rc<Sender>,
    /// What the TLS handshake found out; None in clear text.
    pub(crate) tls: Option<Rc<Session>>,
    /// What the client speaks. In HTTP/2 each request counts as a connection of its own.
    pub(crate) protocol: Protocol,
    requests: Cell<u32>,
    /// Boxed: few have one.
    tunnel: RefCell<Option<Box<Tunnel>>>,
    refused: Cell<bool>,
}

/// Limits in bytes for what a connection and its request cost in futures, checked in debug builds because
/// futures grow unnoticed: 1256 and 1376 when this was written. hyper's buffers come on top, 8 KiB or more
/// each for a connection in use.
const CONNECTION_SIZE: usize = 1280;
const REQUEST_SIZE: usize = 1600;

impl Client {
    pub(crate) fn new(
        worker: Rc<Worker>,
        wire: Rc<Wire>,
        sender: Rc<Sender>,
        tls: Option<Rc<Session>>,
        protocol: Protocol,
    ) -> Self {
        Self {
            worker,
            wire,
            sender,
            tls,
            protocol,
            requests: Cell::new(0),
            tunnel: RefCell::default(),
            refused: Cell::new(false),
        }
    }

    /// Whether the response that is being made has to say that it is the last one.
    pub(crate) fn is_last_request(&self) -> bool {
        self.protocol == Protocol::Http1
            && (self.refused.get()
                || self.worker.draining().is_some()
                || self.requests.get() >= self.worker.config.limits.requests_per_connection)
    }

    /// When the connection is closed because the worker drains; None while it has a request, whose response
    /// says that it is the last one.
    pub(super) fn leaves_at(&self) -> Option<Tick> {
        let drained = self.worker.draining()?;
        // The last response may have said nothing of an end, and the next request be on its way.
        let idle = self.wire.watch.idle_since()?;
        Some(drained.max(idle).after(LAST_REQUEST))
    }

    /// A request was refused: there may be more of it on the wire.
    pub(crate) fn refuse(&self) {
        self.refused.set(true);
    }

    /// Whether bytes may still come that nobody will read.
    pub(super) fn is_sending(&self) -> bool {
        let complete = matches!(self.wire.watch.upload_state(), Upload::Complete(_));
        !self.wire.is_finished() && (self.refused.get() || !complete)
    }

    /// The connection leaves HTTP once the response is out.
    pub(crate) fn switch(&self, tunnel: Tunnel) {
        self.tunnel.replace(Some(Box::new(tunnel)));
    }
}

/// Why a connection stopped speaking HTTP.
enum End {
    /// It is over as far as HTTP is concerned.
    Done(Result<(), hyper::Error>),
    /// Somebody was too slow.
    Stalled(Stall),
    /// It is not over, but may take a while to go on.
    Quiet,
}

/// Serves a connection to its end.
pub(crate) fn serve(worker: Rc<Worker>, arrival: Arrival) -> impl Future<Output = ()> {
    let connection = run(worker, arrival);
    debug_assert!(size_of_val(&connection) <= CONNECTION_SIZE);
    connection
}

async fn run(worker: Rc<Worker>, arrival: Arrival) {
    let origin = arrival.origin;
    let _place = arrival.place;
    let sender = Rc::new(Sender {
        peer: HeaderValue::try_from(origin.ip().to_string()).expect("an address is a header value"),
        trusted: origin.trusted,
        port: origin.port.map(forwarding::port),
        secure: arrival.tls.is_some(),
    });
    let tls = arrival.tls;
    match arrival.protocol {
        Protocol::Http1 => http1(worker, arrival.stream, sender, tls).await,
        // Boxed: HTTP/1.1 connections need not have room for it.
        Protocol::Http2 => Box::pin(http2::serve(worker, arrival.stream, sender, tls)).await,
    }
}

async fn http1(worker: Rc<Worker>, stream: Stream, sender: Rc<Sender>, tls: Option<Rc<Session>>) {
    let deadline = worker.deadlines.open();
    let timeouts = worker.timeouts.clone();
    let watch = Watch::new(worker.clock.clone(), deadline, timeouts);
    let buffer = worker.config.limits.head_bytes;
    let wire = Rc::new(Wire::of_connection(watch, buffer));
    let client = Client::new(worker, wire.clone(), sender, tls, Protocol::Http1);
    let client = Rc::new(client);
    let mut stream = stream;
    let mut early = Bytes::new();
    let mut told = false;
    let end = loop {
        let handler = client.clone();
        let service = service_fn(move |request| {
            handler
                .requests
                .set(handler.requests.get().saturating_add(1));
            let exchange = exchange::serve(handler.clone(), request);
            debug_assert!(size_of_val(&exchange) <= REQUEST_SIZE);
            exchange
        });
        let socket = TokioIo::new(Observed::with_early(stream, wire.clone(), early));
        let mut http = client.worker.to_client.serve_connection(socket, service);
        let end = poll_fn(|context| drive(&mut http, &client, &mut told, context)).await;
        let http1::Parts { io, read_buf, .. } = http.into_parts();
        stream = io.into_inner().into_inner();
        // An empty one would hold on to its buffer.
        early = Some(read_buf)
            .filter(|it| !it.is_empty())
            .unwrap_or_default();
        match end {
            End::Quiet if early.is_empty() => {
                if let Err(stall) = parked::wait(&client, &mut stream).await {
                    break End::Stalled(stall);
                }
            }
            // The beginning of a request came behind the last one.
            End::Quiet => wire.watch.received(),
            end => break end,
        }
    };
    close(&client, end, stream, !early.is_empty()).await;
}

type Http<S> = http1::Connection<TokioIo<Observed<Stream, Rc<Wire>>>, S>;

fn drive<S>(
    http: &mut Http<S>,
    client: &Client,
    told: &mut bool,
    context: &mut Context<'_>,
) -> Poll<End>
where
    S: HttpService<Incoming, ResBody = ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let watch = &client.wire.watch;
    loop {
        let end = watch.supervise(context, |context| Pin::new(&mut *http).poll(context));
        match end {
            Poll::Ready(Ok(result)) => return Poll::Ready(End::Done(result)),
            Poll::Ready(Err(stall)) => return Poll::Ready(End::Stalled(stall)),
            Poll::Pending if *told => return Poll::Pending,
            Poll::Pending => {}
        }
        match client.leaves_at() {
            // Only now, when there was nothing more to read: hyper drops what there is of a next head.
            Some(at) if watch.now() >= at => {
                *told = true;
                Pin::new(&mut *http).graceful_shutdown();
            }
            Some(at) => {
                watch.look_at(at);
                break;
            }
            None => break,
        }
    }
    match watch.is_quiet(parked::AFTER) {
        true => Poll::Ready(End::Quiet),
        false => Poll::Pending,
    }
}

async fn close(client: &Rc<Client>, end: End, mut stream: Stream, early: bool) {
    let worker = &client.worker;
    let tunnel = client.tunnel.take();
    match end {
        End::Done(Ok(())) => {
            let Some(mut tunnel) = tunnel else {
                return Box::pin(linger(client, stream)).await;
            };
            if early {
                // Sent before the client could know that the upstream agreed: these bytes may be a
                // request that is meant to pass the gate unseen.
                worker.shard.rejected(Rejection::EarlyBytes);
                tunnel.record.broken(Rejection::EarlyBytes.label());
                return;
            }
            client.wire.watch.retire();
            let deadline = worker.deadlines.open();
            // Boxed: few connections become tunnels, and all would have room for one.
            Box::pin(tunnel.run(stream, worker.clock.clone(), deadline)).await;
        }
        End::Done(Err(error)) => {
            let Some(rejection) = rejection(&error) else {
                tracing::debug!(%error, "client connection ended");
                return;
            };
            if error.is_parse_version_h2() {
                stream.try_write(BAD_REQUEST);
            }
            reject(client, rejection);
            Box::pin(linger(client, stream)).await;
        }
        End::Stalled(Stall::Head) => {
            stream.try_write(REQUEST_TIMEOUT);
            reject(client, Rejection::HeadTimeout);
        }
        End::Stalled(_) | End::Quiet => {}
    }
}

/// What hyper found wrong with a head, and has answered already.
fn rejection(error: &hyper::Error) -> Option<Rejection> {
    if error.is_parse_too_large() {
        Some(Rejection::HeadTooLarge)
    } else if error.is_parse() {
        Some(Rejection::Syntax)
    } else {
        None
    }
}

fn reject(client: &Client, rejection: Rejection) {
    client.refuse();
    client.worker.shard.rejected(rejection);
    let mut record = Record::without_request(&client.worker, &client.sender);
    record.status = rejection.status().as_u16();
    record.broken(rejection.label());
}
