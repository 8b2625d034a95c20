use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

/// Why there was no TLS connection; a label of metrics, so that a flood of bad handshakes fills no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client speaks HTTP on the TLS port.
    ClearText,
    /// The client speaks something else.
    NotTls,
    /// The ClientHello does not end where it must.
    HelloTooLarge,
    Timeout,
    /// The client left in the middle.
    Closed,
    /// No protocol version, cipher or key exchange in common.
    Incompatible,
    /// The client can speak none of the protocols that we have.
    Alpn,
    /// The client has no certificate and must have one.
    NoClientCertificate,
    /// The client's certificate does not verify.
    ClientCertificate,
    /// The client does not accept our certificate.
    CertificateRefused,
    /// The client gave up for another reason that it told.
    Alert,
    /// The client does not follow the protocol.
    Protocol,
    /// The host's policy cannot be met, so nobody gets in.
    Unavailable,
    /// No endpoint for a host that is passed through.
    Passthrough,
}

impl Failure {
    pub(crate) const ALL: [Self; 14] = [
        Self::ClearText,
        Self::NotTls,
        Self::HelloTooLarge,
        Self::Timeout,
        Self::Closed,
        Self::Incompatible,
        Self::Alpn,
        Self::NoClientCertificate,
        Self::ClientCertificate,
        Self::CertificateRefused,
        Self::Alert,
        Self::Protocol,
        Self::Unavailable,
        Self::Passthrough,
    ];

    /// Its name in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ClearText => "clear_text",
            Self::NotTls => "not_tls",
            Self::HelloTooLarge => "hello_too_large",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Incompatible => "incompatible",
            Self::Alpn => "alpn",
            Self::NoClientCertificate => "no_client_certificate",
            Self::ClientCertificate => "client_certificate",
            Self::CertificateRefused => "certificate_refused",
            Self::Alert => "alert",
            Self::Protocol => "protocol",
            Self::Unavailable => "unavailable",
            Self::Passthrough => "passthrough",
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        use AlertDescription as Alert;
        match error {
            Error::PeerIncompatible(
                PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
            )
            | Error::InvalidCertificate(_) => Self::ClientCertificate,
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::NoApplicationProtocol => Self::Alpn,
            Error::NoCertificatesPresented => Self::NoClientCertificate,
            Error::AlertReceived(
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA,
            ) => Self::CertificateRefused,
            Error::AlertReceived(_) => Self::Alert,
            _ => Self::Protocol,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        tls.map_or(Self::Closed, |error: &Error| Self::from(error))
    }
}
