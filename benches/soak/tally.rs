//! What came of requests, by kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Kinds of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// HTTP/1.1 on kept connections.
    Kept,
    /// HTTP/1.1, each on a connection of its own.
    Fresh,
    /// HTTP/1.1 over TLS, each after a handshake of its own.
    Handshake,
    /// HTTP/2 over TLS, several streams at once.
    Streams,
    /// Uploads that are mirrored.
    Upload,
    /// Downloads that take two seconds.
    Download,
    /// Messages over WebSockets, some of which stay from beginning to end.
    WebSocket,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Kept,
        Self::Fresh,
        Self::Handshake,
        Self::Streams,
        Self::Upload,
        Self::Download,
        Self::WebSocket,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kept => "HTTP/1.1, kept connections",
            Self::Fresh => "HTTP/1.1, new connections",
            Self::Handshake => "HTTP/1.1 over TLS, new handshakes",
            Self::Streams => "HTTP/2 over TLS, four streams at once",
            Self::Upload => "64 KiB up and down in chunks",
            Self::Download => "downloads of two seconds",
            Self::WebSocket => "messages over WebSockets, half of them in TLS",
        }
    }
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) kinds: BTreeMap<Kind, Count>,
    /// The first failures, with what they were.
    pub(crate) failures: Vec<String>,
    pub(crate) connections: u64,
    /// Certificates that clients were shown, by their serial bytes.
    pub(crate) certificates: BTreeSet<Vec<u8>>,
    /// Pods that answered.
    pub(crate) pods: BTreeSet<String>,
}

pub(crate) struct Count {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// In microseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Tally {
    /// How many failures are told word by word.
    const TOLD: usize = 20;

    /// Counts exchanges that began together.
    pub(crate) fn record(
        &mut self,
        kind: Kind,
        began: Instant,
        result: Result<u64, Box<dyn std::error::Error>>,
        since_start: Duration,
    ) {
        let count = self.kinds.entry(kind).or_insert_with(|| Count {
            done: 0,
            failed: 0,
            latency: microseconds(),
        });
        match result {
            Ok(exchanges) => {
                count.done += exchanges;
                let took = began.elapsed().as_micros();
                let took = took.try_into().unwrap_or(u64::MAX);
                count.latency.saturating_record(took);
            }
            Err(error) => {
                count.failed += 1;
                if self.failures.len() < Self::TOLD {
                    let took = began.elapsed();
                    self.failures.push(format!(
                        "{since_start:.1?} {kind:?} after {took:.1?}: {error:?}"
                    ));
                }
            }
        }
    }
}

/// From a microsecond to a minute.
pub(crate) fn microseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds that make sense")
}
