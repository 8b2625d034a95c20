use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::distinguished_name::text;

/// Who a client is, as far as its certificate tells.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The subject, in the form of RFC 2253 as nginx gives it; None where the certificate, although verified,
    /// cannot be read.
    pub(crate) subject: Option<HeaderValue>,
    pub(crate) issuer: Option<HeaderValue>,
}

impl Identity {
    /// Reads a certificate that has been verified.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let parsed = X509Certificate::from_der(certificate).ok();
        let certificate = parsed.as_ref().map(|(_, certificate)| certificate);
        let header = |name| HeaderValue::try_from(text(name)).ok();
        Self {
            subject: certificate.and_then(|it| header(it.subject())),
            issuer: certificate.and_then(|it| header(it.issuer())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_reads_from_the_most_specific_part() {
        let mut parameters = rcgen::CertificateParams::default();
        let name = &mut parameters.distinguished_name;
        *name = rcgen::DistinguishedName::new();
        name.push(rcgen::DnType::CountryName, "DE");
        name.push(rcgen::DnType::OrganizationName, "Example, Inc.");
        name.push(rcgen::DnType::CommonName, "alice");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let identity = Identity::of(certificate.der());
        assert_eq!(identity.subject.unwrap(), "CN=alice,O=Example\\, Inc.,C=DE");
        assert_eq!(identity.issuer.unwrap(), "CN=alice,O=Example\\, Inc.,C=DE");
    }

    #[test]
    fn what_cannot_be_read_has_no_name() {
        let identity = Identity::of(&CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]));
        assert!(identity.subject.is_none() && identity.issuer.is_none());
    }
}
