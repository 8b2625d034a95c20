use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::Poll;

use super::head_scan::{HeadScan, HeadSeen};
use super::watch::Watch;
use crate::observed::Observer;

/// What the socket of a connection and its request handler share. A stream of an HTTP/2 connection has
/// one of its own, without a socket.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) watch: Watch,
    /// None for a stream of HTTP/2, which comes in frames.
    scan: Option<RefCell<HeadScan>>,
    /// The client will send nothing more.
    finished: Cell<bool>,
    /// A request brought more than it may.
    exceeded: Cell<bool>,
}

impl Wire {
    /// For a connection whose parser has a buffer of `buffer` bytes.
    pub(crate) fn of_connection(watch: Watch, buffer: usize) -> Self {
        Self {
            scan: Some(RefCell::new(HeadScan::new(buffer))),
            ..Self::of_stream(watch)
        }
    }

    pub(crate) fn of_stream(watch: Watch) -> Self {
        Self {
            watch,
            scan: None,
            finished: Cell::new(false),
            exceeded: Cell::new(false),
        }
    }

    /// What was seen of the head that was just parsed; None where it should have been seen, and was not.
    pub(crate) fn head_complete(&self) -> Option<HeadSeen> {
        match &self.scan {
            Some(scan) => scan.borrow_mut().take(),
            None => Some(HeadSeen::default()),
        }
    }

    /// The request body is larger than the route allows; there is no other request after this one.
    pub(crate) fn exceed(&self) {
        self.exceeded.set(true);
    }

    /// Whether the request body was larger than the route allows.
    pub(crate) fn has_exceeded(&self) -> bool {
        self.exceeded.get()
    }

    /// Whether the client has closed its side.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.get()
    }
}

impl Observer for Rc<Wire> {
    fn read(&self, bytes: &[u8]) {
        self.watch.received();
        if let Some(scan) = &self.scan {
            scan.borrow_mut().feed(bytes);
        }
    }

    fn finished(&self) {
        self.finished.set(true);
    }

    fn wrote(
        &self,
        result: Poll<io::Result<usize>>,
        _offered: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch.wrote(&result);
        result
    }
}
