//! The side of the endpoints: which one is asked, and over which connection.
//!
//! ```text
//! balance ---> endpoint ---> pool ---> Connection ---> dispatch
//!                              |  none   ^
//!                              \-> connect (TCP, TLS, HTTP)
//! ```

pub(crate) mod balance;
pub(crate) mod client_tls;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod multiplexed;
pub(crate) mod pool;
pub(crate) mod transport;
