use std::sync::Arc;

use rustls::RootCertStore;

use super::certificate::certificates;
use super::error::SecretError;
use super::secret::{Field, Secret};

/// The authorities of a Secret's `ca.crt` as they stand there, for the certificates of upstreams.
pub(crate) fn authorities_pem(secret: &Secret) -> Result<Arc<str>, SecretError> {
    authorities(secret)?;
    let pem = secret.get(Field::Authorities).unwrap_or_default();
    Ok(String::from_utf8_lossy(pem).into())
}

/// The authorities of a Secret's `ca.crt`, for the certificates of clients.
pub(crate) fn authorities(secret: &Secret) -> Result<Arc<RootCertStore>, SecretError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(secret, Field::Authorities)? {
        // One that is not X.509 may be the one that matters: nobody is let in by the others alone.
        store
            .add(certificate)
            .map_err(|_| SecretError::NotX509(Field::Authorities))?;
    }
    Ok(Arc::new(store))
}
