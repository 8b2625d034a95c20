use std::io;

use crate::body::BodyError;

/// Why there is no response, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the endpoint closed the connection")]
    Closed,
    #[error("the connection to the endpoint broke")]
    Broken(#[source] io::Error),
    #[error("the endpoint's response is not HTTP/1.1: {0}")]
    Invalid(#[from] Invalid),
    /// The client's part.
    #[error("the request's body ended early")]
    Body(#[source] BodyError),
}

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("{0}")]
    Syntax(httparse::Error),
    #[error("the head is larger than allowed")]
    HeadTooLarge,
    #[error("too many interim responses")]
    Interim,
    #[error("the length of its body is not clear")]
    Length,
    #[error("a chunk is malformed")]
    Chunk,
    #[error("the trailers are malformed or larger than allowed")]
    Trailers,
}
