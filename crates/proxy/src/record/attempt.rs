use std::net::SocketAddr;
use std::time::Duration;

/// One endpoint that was asked. Times are from the start of the request on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) endpoint: SocketAddr,
    pub(crate) began: Duration,
    /// None where a kept connection was there.
    pub(crate) connected: Option<Duration>,
    /// When the head of the answer was there.
    pub(crate) answered: Option<Duration>,
    pub(crate) ended: Option<Duration>,
    /// What the endpoint answered, or what its failure means to the client.
    pub(crate) status: Option<u16>,
}

impl Attempt {
    pub(super) fn new(endpoint: SocketAddr, began: Duration) -> Self {
        Self {
            endpoint,
            began,
            connected: None,
            answered: None,
            ended: None,
            status: None,
        }
    }
}
