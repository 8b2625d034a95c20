//! Certificates and authorities from Secrets. Pure: bytes in, certificates or the reason why not out.
//!
//! Secrets are the most dangerous thing that a node can read. Of each one only the three fields that
//! TLS needs are kept, in memory that is wiped when it is freed, and nothing here prints them.

mod authorities;
mod certificate;
mod error;
mod resolve;
mod secret;

pub(crate) use authorities::{authorities, authorities_pem};
pub use certificate::Certificate;
pub use resolve::{Certificates, HostCertificates};
pub use secret::Secret;
