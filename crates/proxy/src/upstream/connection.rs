use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use futures_util::future::Either;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};

use super::multiplexed::Share;
use super::pool::Pool;
use super::transport::Transport;
use super::written::Written;
use crate::body::RequestBody;

/// A connection to an endpoint, or a share in one, for one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: Sender,
    pub(crate) endpoint: SocketAddr,
    pub(crate) transport: Transport,
    /// It has carried a request before, so the endpoint may be about to close it.
    pub(crate) reused: bool,
}

/// Where a request goes. hyper drives the connection in a task of its own.
#[derive(Debug)]
pub(crate) enum Sender {
    Http1(http1::SendRequest<RequestBody>, Rc<Link>),
    Http2(Share),
}

/// What a connection's socket tells about the current request.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// At least one byte of an answer has arrived.
    pub(crate) answered: Cell<bool>,
    pub(crate) written: Written,
}

impl Connection {
    /// Where the bytes of HTTP/1.1 can be seen.
    pub(crate) fn link(&self) -> Option<&Rc<Link>> {
        match &self.sender {
            Sender::Http1(_, link) => Some(link),
            Sender::Http2(_) => None,
        }
    }

    /// Sends a request; gives it back where no byte of it was written. What is written is kept where it is
    /// `wanted`.
    pub(crate) fn try_send_request(
        &mut self,
        request: Request<RequestBody>,
        wanted: bool,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        match &mut self.sender {
            Sender::Http1(sender, link) => {
                link.answered.set(false);
                link.written.begin(wanted);
                Either::Left(sender.try_send_request(request))
            }
            Sender::Http2(share) => Either::Right(share.try_send_request(request)),
        }
    }

    /// Whether part of an answer has arrived. Streams of HTTP/2 end with an error where it has.
    pub(crate) fn has_answered(&self) -> bool {
        match &self.sender {
            Sender::Http1(_, link) => link.answered.get(),
            Sender::Http2(_) => false,
        }
    }
}

/// The right to give a connection back when its response has been read.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Connection,
    pool: Rc<Pool>,
}

impl Lease {
    pub(crate) fn new(connection: Connection, pool: Rc<Pool>) -> Self {
        Self { connection, pool }
    }

    /// The response is complete. The connection is kept if the request is, too: hyper is only then
    /// ready for another one, and stays closed to us if either side asked for that.
    pub(crate) fn release(self) {
        self.pool.put(self.connection);
    }
}
