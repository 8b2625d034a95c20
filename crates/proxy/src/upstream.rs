//! The side of the endpoints: which one is asked, and over which connection.
//!
//! ```text
//! balance ---> group ---> choice ---> endpoint ---> pool ---> Connection ---> dispatch
//!              limits,    near ones,   load,          |  none   ^
//!              retries    pick         health         \-> connect (TCP, TLS, HTTP/2)
//! ```

pub(crate) mod admission;
pub(crate) mod balance;
mod budget;
pub(crate) mod choice;
pub(crate) mod client_tls;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod endpoint;
pub(crate) mod group;
mod health;
pub(crate) mod http1;
mod latency;
mod members;
pub(crate) mod multiplexed;
mod pick;
pub(crate) mod pool;
mod read_first;
pub(crate) mod transport;
