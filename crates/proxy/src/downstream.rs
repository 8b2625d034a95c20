//! The side of the client: its socket, its limits, and the life of its connection.

pub(crate) mod arrival;
pub(crate) mod client_connections;
pub(crate) mod connection;
mod head_scan;
mod http2;
mod lingering;
mod parked;
mod preface;
pub(crate) mod proxy_protocol;
pub(crate) mod watch;
pub(crate) mod wire;

pub(crate) use head_scan::HeadSeen;
