//! How many files the process may have open, of which connections are most.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

/// For everything but traffic: objects, netlink, health checks, metrics, node ports on loopback.
const RESERVED: u64 = 256;

/// Raises the limit as far as it may be, and returns how many connections fit: each has one to an
/// endpoint besides.
pub(crate) fn room_for_connections() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised,
        Err(error) => {
            debug!(%error, "cannot raise the limit of open files");
            limit
        }
    };
    // None is no limit.
    let files = limit.current.unwrap_or(u64::MAX);
    (files.saturating_sub(RESERVED) / 2).max(1)
}
