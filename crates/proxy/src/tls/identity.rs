use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// Who a client is, as far as its certificate tells.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The subject, in the form of RFC 2253 as nginx gives it.
    pub(crate) subject: HeaderValue,
    pub(crate) issuer: HeaderValue,
}

impl Identity {
    /// Reads a certificate that has been verified.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        Some(Self {
            subject: distinguished_name(certificate.subject())?,
            issuer: distinguished_name(certificate.issuer())?,
        })
    }
}

/// The name from its last part to its first, joined by commas (RFC 2253 section 2.1).
fn distinguished_name(name: &X509Name<'_>) -> Option<HeaderValue> {
    let registry = x509_parser::objects::oid_registry();
    let mut parts: Vec<String> = Vec::new();
    for relative in name.iter_rdn() {
        let mut attributes = Vec::new();
        for attribute in relative.iter() {
            let oid = attribute.attr_type();
            let short = x509_parser::objects::oid2abbrev(oid, registry)
                .map_or_else(|_| oid.to_id_string(), str::to_owned);
            let value = attribute.as_str().ok()?;
            attributes.push(format!("{short}={}", escape(value)));
        }
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    HeaderValue::try_from(parts.join(",")).ok()
}

/// RFC 2253 section 2.4. What is not printable ASCII is written as its bytes in hexadecimal, so that the
/// result is a header value and nothing in a certificate can end it early.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        let at_edge = (at == 0 && matches!(byte, b' ' | b'#')) || (at == last && byte == b' ');
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                escaped.push('\\');
                escaped.push(char::from(byte));
            }
            b' ' | b'#' if at_edge => {
                escaped.push('\\');
                escaped.push(char::from(byte));
            }
            b' '..=b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("\\{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_header() {
        assert_eq!(escape("Example, Inc."), "Example\\, Inc.");
        assert_eq!(escape(" #a "), "\\ #a\\ ");
        assert_eq!(escape("#a"), "\\#a");
        assert_eq!(escape("a\r\nb\u{e4}"), "a\\0D\\0Ab\\C3\\A4");
        assert_eq!(escape(""), "");
    }

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
        let identity = Identity::of(certificate.der()).unwrap();
        assert_eq!(identity.subject, "CN=alice,O=Example\\, Inc.,C=DE");
        assert_eq!(identity.issuer, identity.subject);
    }
}
