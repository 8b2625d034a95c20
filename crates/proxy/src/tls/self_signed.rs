use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// A name that resolves nowhere. Clients must find a DNS name in the certificate: some (Ingress's own
/// conformance tests) look at it unasked.
const NAME: &str = "ingress.invalid";

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a self-signed default certificate: {0}")]
pub struct SelfSignedError(String);

/// A certificate that nobody trusts, for hosts that have none: clients see what is missing.
///
/// # Errors
///
/// When the system has no randomness.
pub fn self_signed() -> Result<CertifiedKey, SelfSignedError> {
    let failed = |error: &dyn std::error::Error| SelfSignedError(error.to_string());
    let mut parameters =
        CertificateParams::new(vec![NAME.to_owned()]).map_err(|error| failed(&error))?;
    parameters
        .distinguished_name
        .push(DnType::CommonName, "fairway default certificate");
    // P-256: every client has it.
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let certificate = parameters
        .self_signed(&key)
        .map_err(|error| failed(&error))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    CertifiedKey::from_der(vec![certificate.der().clone()], key, &default_provider())
        .map_err(|error| failed(&error))
}
