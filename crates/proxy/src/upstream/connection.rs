use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::http1;
use super::multiplexed::Share;
use super::pool::Pool;
use super::transport::Transport;
use crate::body::RequestBody;
use crate::stream::Stream;

/// A connection to an endpoint, or a share in one, for one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) sender: Sender,
    pub(crate) endpoint: SocketAddr,
    pub(crate) transport: Transport,
    /// It has carried a request before, so the endpoint may be about to close it.
    pub(crate) reused: bool,
}

/// Where a request goes.
#[derive(Debug)]
pub(super) enum Sender {
    /// Boxed: connections are moved more often than they are opened.
    Http1(Box<http1::Connection>),
    Http2(Share),
}

/// Why a request has no response.
#[derive(Debug)]
pub(crate) enum Broken {
    Http1(http1::Error),
    Http2(hyper::Error),
}

impl Broken {
    pub(crate) fn into_source(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Http1(error) => Box::new(error),
            Self::Http2(error) => Box::new(error),
        }
    }
}

/// A socket that has left HTTP, and what was read of it behind the response.
pub(crate) type Parts = (Stream, Bytes);

impl Connection {
    /// Sends a request and waits for the head of its response.
    ///
    /// After a failure the request is still there if nothing of it has left, and with HTTP/1.1 if there was no
    /// body; there it also is when a response has arrived, if it is to be `kept`.
    pub(crate) async fn exchange(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
        kept: bool,
    ) -> Result<Response<Option<Incoming>>, Failed> {
        match &mut self.sender {
            Sender::Http1(connection) => {
                let request = request.as_mut().expect(UNSENT);
                let response = connection.exchange(request, kept).await;
                response
                    .map(|response| response.map(|()| None))
                    .map_err(|error| Failed {
                        reason: Broken::Http1(error),
                        is_unsent: connection.is_untouched(),
                        has_answered: connection.has_answered(),
                    })
            }
            Sender::Http2(share) => {
                let taken = request.take().expect(UNSENT);
                let response = share.try_send_request(taken).await;
                response
                    .map(|response| response.map(Some))
                    .map_err(|mut failed| {
                        *request = failed.take_message();
                        Failed {
                            is_unsent: request.is_some(),
                            // Streams end with an error where part of an answer has arrived.
                            has_answered: false,
                            reason: Broken::Http2(failed.into_error()),
                        }
                    })
            }
        }
    }

    /// Whether part of an answer has arrived. Streams of HTTP/2 end with an error where it has.
    pub(crate) fn has_answered(&self) -> bool {
        match &self.sender {
            Sender::Http1(connection) => connection.has_answered(),
            Sender::Http2(_) => false,
        }
    }

    /// For how long its endpoint lets it have nothing to do, where it says so.
    pub(super) fn patience(&self) -> Option<Duration> {
        match &self.sender {
            Sender::Http1(connection) => connection.patience(),
            Sender::Http2(_) => None,
        }
    }

    /// Nobody has needed it for a while.
    pub(super) fn rest(&mut self) {
        if let Sender::Http1(connection) = &mut self.sender {
            connection.rest();
        }
    }

    /// Tells the endpoint of an idle connection that this is its end, as TLS wants it.
    pub(super) fn say_goodbye(&self) {
        if let Sender::Http1(connection) = &self.sender {
            connection.say_goodbye();
        }
    }

    /// Whether it waits for another request, and nobody else may use it.
    pub(super) fn is_idle(&self) -> bool {
        match &self.sender {
            Sender::Http1(connection) => connection.is_alive(),
            Sender::Http2(_) => false,
        }
    }
}

pub(crate) const UNSENT: &str = "an unsent request is here";

/// What is known of a request that has no response.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) reason: Broken,
    /// Nothing of it has left, and all of it is still there.
    pub(crate) is_unsent: bool,
    /// Part of an answer has arrived.
    pub(crate) has_answered: bool,
}

/// The body of an endpoint's response. The connection goes back when all of it was read.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    /// With HTTP/2; otherwise the connection is read.
    stream: Option<Incoming>,
    /// None when it was given back.
    connection: Option<Connection>,
    pool: Rc<Pool>,
}

impl UpstreamBody {
    pub(crate) fn new(stream: Option<Incoming>, connection: Connection, pool: Rc<Pool>) -> Self {
        Self {
            stream,
            connection: Some(connection),
            pool,
        }
    }

    /// Of HTTP/2.
    pub(crate) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// All of the response was read. The connection is kept if the request is complete, too, and both sides
    /// want that.
    pub(crate) fn release(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let is_reusable = match &mut connection.sender {
            Sender::Http1(connection) => connection.is_reusable(),
            Sender::Http2(_) => false,
        };
        if is_reusable {
            self.pool.put(connection);
        }
    }

    /// The socket of a connection whose endpoint has switched to another protocol.
    pub(crate) fn into_parts(self) -> Option<Parts> {
        match self.connection?.sender {
            Sender::Http1(connection) => connection.into_parts(),
            Sender::Http2(_) => None,
        }
    }

    fn http1(&self) -> Option<&http1::Connection> {
        match &self.connection.as_ref()?.sender {
            Sender::Http1(connection) => Some(connection),
            Sender::Http2(_) => None,
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Some(stream) = &mut this.stream {
            let frame = Pin::new(stream).poll_frame(context);
            return frame.map_err(Broken::Http2);
        }
        match this
            .connection
            .as_mut()
            .map(|connection| &mut connection.sender)
        {
            Some(Sender::Http1(connection)) => {
                connection.poll_frame(context).map_err(Broken::Http1)
            }
            Some(Sender::Http2(_)) | None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.stream {
            Some(stream) => stream.is_end_stream(),
            None => self.http1().is_none_or(http1::Connection::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.stream {
            Some(stream) => stream.size_hint(),
            None => match self.http1() {
                Some(connection) => connection.size_hint(),
                None => SizeHint::with_exact(0),
            },
        }
    }
}
