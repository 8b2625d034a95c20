//! TLS towards clients.
//!
//! ```text
//! accept --> hello --> TlsTable --> handshake --> Stream, Session --> HTTP
//!            (SNI)     by name \--> passthrough: the endpoint's own TLS, untouched
//! ```
//!
//! The ClientHello is read first, because the name in it decides not only the certificate but also
//! whether clients must have one, and whether the connection is ours to terminate at all; so it is found in
//! hellos of clients, too, that rustls cannot serve. All hosts are in one immutable [`TlsTable`]; a new one is
//! for new handshakes. Open connections keep what they have, for as long as who was let in then would be now.

mod cipher;
mod distinguished_name;
mod failure;
mod handshake;
mod hello;
mod host;
mod identity;
mod judge;
mod passthrough;
mod self_signed;
mod server_name;
mod table;
mod ticket;

pub(crate) use cipher::Cipher;
pub(crate) use failure::Failure;
pub(crate) use handshake::{Session, accept};
pub use host::{ClientAuth, Handling, HostTls};
pub(crate) use judge::{Verdict, judge};
pub use self_signed::{SelfSignedError, self_signed};
pub use table::{TlsSettings, TlsTable};
