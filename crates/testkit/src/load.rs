//! Load from inside a namespace.
//!
//! [`Churn`] opens one connection after the other and counts what fails: whether a change was
//! noticed. [`OpenLoop`] sends requests at a fixed rate and measures latency, whether or not the
//! server keeps up.

mod churn;
mod open_loop;
mod pacer;

use std::fs;
use std::io;

pub use churn::{Churn, ChurnReport, Churning};
pub use open_loop::{LatencyReport, OpenLoop};

use crate::lab::Namespace;

/// How many TCP segments a namespace has sent again, first packets of connections included:
/// in a lab, which loses nothing by itself, the number of packets that somebody dropped.
///
/// # Errors
///
/// When `/proc` is not there.
pub fn retransmissions(namespace: &Namespace) -> io::Result<u64> {
    namespace.run(retransmissions_here)
}

/// Of the calling thread's namespace.
fn retransmissions_here() -> io::Result<u64> {
    let counters = fs::read_to_string("/proc/thread-self/net/snmp")?;
    let mut tcp = counters
        .lines()
        .filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (tcp.next().unwrap_or(""), tcp.next().unwrap_or(""));
    let mut columns = names.split(' ').zip(values.split(' '));
    let counter = columns.find(|(name, _)| *name == "RetransSegs");
    let number = counter.and_then(|(_, value)| value.parse().ok());
    number.ok_or_else(|| io::Error::other("no RetransSegs in /proc/net/snmp"))
}

#[cfg(test)]
mod tests;
