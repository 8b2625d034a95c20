//! The side of the client: its socket, its limits, and the life of its connection.

pub(crate) mod arrival;
pub(crate) mod connection;
mod head_scan;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod watch;

pub(crate) use head_scan::HeadSeen;
