use super::secret::Field;

/// Why a Secret is of no use for TLS. Messages say what to check and never quote what the Secret holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("is neither kubernetes.io/tls nor Opaque")]
    Type,
    #[error("is missing, empty or not base64")]
    Missing(Field),
    #[error("is larger than 1 MiB")]
    TooLarge(Field),
    #[error("is not PEM: look for cut lines and missing BEGIN or END lines")]
    NotPem(Field),
    #[error("has no certificate (BEGIN CERTIFICATE)")]
    NoCertificate(Field),
    #[error("has more than {MOST_CERTIFICATES} certificates")]
    TooManyCertificates(Field),
    #[error("has a certificate that is not X.509")]
    NotX509(Field),
    #[error("has no private key (BEGIN PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY)")]
    NoKey,
    #[error("is encrypted with a passphrase, which nobody can enter here; store it decrypted")]
    EncryptedKey,
    #[error(
        "is no key that TLS can use: RSA with 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519"
    )]
    UnsupportedKey,
    #[error(
        "does not belong to the first certificate of tls.crt; the server's own certificate comes first"
    )]
    KeyMismatch,
}

/// Longest chain that is taken. Clients accept ten or less, and TLS messages are limited too.
pub(super) const MOST_CERTIFICATES: usize = 16;

impl SecretError {
    /// The field that is wrong.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Missing(field)
            | Self::TooLarge(field)
            | Self::NotPem(field)
            | Self::NoCertificate(field)
            | Self::TooManyCertificates(field)
            | Self::NotX509(field) => field.name(),
            Self::NoKey | Self::EncryptedKey | Self::UnsupportedKey | Self::KeyMismatch => {
                Field::Key.name()
            }
        }
    }
}
