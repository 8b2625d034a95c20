//! What clients of our own believe in.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::requests::stage::Stage;

/// Whether a connection goes on with a ticket of one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tickets {
    Used,
    Unused,
}

/// HTTP/1.1 with the peers' certificate.
pub(crate) fn config(stage: &Stage, tickets: Tickets) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from(stage.root.der());
    roots.add(root).expect("a root certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if tickets == Tickets::Unused {
        config.resumption = Resumption::disabled();
    }
    config
}
