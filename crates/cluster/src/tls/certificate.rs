use std::fmt;
use std::sync::{Arc, LazyLock};

use fairway_model::HostPattern;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroize;

use super::error::{MOST_CERTIFICATES, SecretError};
use super::secret::{Field, Secret};

/// An API server takes Secrets up to 1 MiB; files could hold more.
const LARGEST: usize = 1024 * 1024;

/// Knows the signature schemes; made once, it is a table.
static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(default_provider);

/// A certificate with its chain and key, ready to be shown, and what it says about itself.
pub struct Certificate {
    /// For handshakes.
    pub key: Arc<CertifiedKey>,
    /// The DNS names it is for, lower-case; `*.` stands for one label.
    pub names: Vec<String>,
    /// First second in which it is valid, since 1970.
    pub not_before: i64,
    /// Last second in which it is valid, since 1970.
    pub not_after: i64,
    /// Tells what it was read from.
    source: u64,
}

impl Certificate {
    /// Reads a Secret: a chain with the server's own certificate first, and that one's key.
    pub(crate) fn parse(secret: &Secret) -> Result<Self, SecretError> {
        if !matches!(secret.kind.as_str(), "kubernetes.io/tls" | "Opaque" | "") {
            return Err(SecretError::Type);
        }
        let chain = certificates(secret, Field::Certificate)?;
        let mut key = private_key(field(secret, Field::Key)?)?;
        let signing = PROVIDER.key_provider.load_private_key(key.clone_key());
        key.zeroize();
        let signing = signing.map_err(|_| SecretError::UnsupportedKey)?;
        let about = About::of(&chain[0]).ok_or(SecretError::NotX509(Field::Certificate))?;
        let key = CertifiedKey::new(chain, signing);
        key.keys_match().map_err(|_| SecretError::KeyMismatch)?;
        Ok(Self {
            key: Arc::new(key),
            names: about.names,
            not_before: about.not_before,
            not_after: about.not_after,
            source: secret.fingerprint(),
        })
    }

    /// Whether it was read from a Secret that said the same.
    pub(crate) fn is_of(&self, secret: &Secret) -> bool {
        self.source == secret.fingerprint()
    }

    /// Whether the certificate is for all of a host.
    pub fn covers(&self, host: &HostPattern) -> bool {
        match host {
            HostPattern::Exact(host) => self.names.iter().any(|name| {
                **name == **host
                    || name.strip_prefix("*.").is_some_and(|suffix| {
                        host.split_once('.').is_some_and(|(_, rest)| rest == suffix)
                    })
            }),
            HostPattern::Wildcard { suffix, .. } => self
                .names
                .iter()
                .any(|name| name.strip_prefix("*.") == Some(suffix)),
            HostPattern::Any => false,
        }
    }
}

/// Without the key's bytes, which rustls does not print either.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("names", &self.names)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// The certificates of a field, in its order.
pub(super) fn certificates(
    secret: &Secret,
    which: Field,
) -> Result<Vec<CertificateDer<'static>>, SecretError> {
    let text = field(secret, which)?;
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        if chain.len() == MOST_CERTIFICATES && which == Field::Certificate {
            return Err(SecretError::TooManyCertificates(which));
        }
        chain.push(certificate.map_err(|_| SecretError::NotPem(which))?);
    }
    if chain.is_empty() {
        return Err(SecretError::NoCertificate(which));
    }
    Ok(chain)
}

fn field(secret: &Secret, field: Field) -> Result<&[u8], SecretError> {
    match secret.get(field) {
        None | Some([]) => Err(SecretError::Missing(field)),
        Some(value) if value.len() > LARGEST => Err(SecretError::TooLarge(field)),
        Some(value) => Ok(value),
    }
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, SecretError> {
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if is_encrypted(text) => Err(SecretError::EncryptedKey),
        Err(pem::Error::NoItemsFound) => Err(SecretError::NoKey),
        // Traditional encryption puts headers where base64 is expected.
        Err(_) if is_encrypted(text) => Err(SecretError::EncryptedKey),
        Err(_) => Err(SecretError::NotPem(Field::Key)),
    }
}

fn is_encrypted(text: &[u8]) -> bool {
    ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| text.windows(mark.len()).any(|part| part == mark.as_bytes()))
}

/// What is read from a certificate itself.
struct About {
    names: Vec<String>,
    not_before: i64,
    not_after: i64,
}

impl About {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let alternatives = certificate.subject_alternative_name().ok()?;
        let alternatives = alternatives.map(|extension| &extension.value.general_names);
        let names = alternatives
            .into_iter()
            .flatten()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            });
        Some(Self {
            names: names.collect(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }
}

#[cfg(test)]
mod tests;
