//! The side of the endpoints: which one is asked, and over which connection.

pub(crate) mod balance;
pub(crate) mod connect;
pub(crate) mod pool;
