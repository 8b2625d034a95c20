//! Certificates made on the spot, in all the forms in which people store them.

use anyhow::Context;
use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the algorithms' own names")]
pub enum KeyKind {
    P256,
    P384,
    Ed25519,
    Rsa2048,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::P256, Self::P384, Self::Ed25519, Self::Rsa2048];

    fn generate(self) -> anyhow::Result<KeyPair> {
        let algorithm = match self {
            Self::P256 => &PKCS_ECDSA_P256_SHA256,
            Self::P384 => &PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &PKCS_ED25519,
            Self::Rsa2048 => &PKCS_RSA_SHA256,
        };
        KeyPair::generate_for(algorithm).context("no key")
    }

    /// The form that was usual before PKCS#8; Ed25519 never had one.
    fn traditional_label(self) -> Option<&'static str> {
        match self {
            Self::P256 | Self::P384 => Some("EC PRIVATE KEY"),
            Self::Rsa2048 => Some("RSA PRIVATE KEY"),
            Self::Ed25519 => None,
        }
    }
}

/// Somebody who issues certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its own certificate's issuers up to, and without, the root.
    chain: String,
}

impl Authority {
    /// A root of that name.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let issuer = CertifiedIssuer::self_signed(authority(name)?, KeyKind::P256.generate()?)?;
        Ok(Self {
            issuer,
            chain: String::new(),
        })
    }

    /// An authority below this one.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn intermediate(&self, name: &str) -> anyhow::Result<Self> {
        let key = KeyKind::P256.generate()?;
        let issuer = CertifiedIssuer::signed_by(authority(name)?, key, &self.issuer)?;
        let chain = issuer.pem() + &self.chain;
        Ok(Self { issuer, chain })
    }

    /// Its certificate as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its certificate as DER.
    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// A server's certificate for these names.
    ///
    /// # Errors
    ///
    /// When a name is none.
    pub fn server(&self, names: &[&str]) -> anyhow::Result<Issued> {
        self.server_with(names, KeyKind::P256, |_| {})
    }

    /// The same with another key, and with whatever `change` does to it.
    ///
    /// # Errors
    ///
    /// When a name is none.
    pub fn server_with(
        &self,
        names: &[&str],
        kind: KeyKind,
        change: impl FnOnce(&mut CertificateParams),
    ) -> anyhow::Result<Issued> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(names)?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut parameters);
        self.issue(&parameters, kind)
    }

    /// A server's certificate that expired years ago.
    ///
    /// # Errors
    ///
    /// When a name is none.
    pub fn expired(&self, names: &[&str]) -> anyhow::Result<Issued> {
        self.server_with(names, KeyKind::P256, |parameters| {
            parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        })
    }

    /// A client's certificate.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn client(&self, common_name: &str) -> anyhow::Result<Issued> {
        let mut parameters = CertificateParams::default();
        let name = &mut parameters.distinguished_name;
        name.push(DnType::OrganizationName, "Example, Inc.");
        name.push(DnType::CommonName, common_name);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&parameters, KeyKind::P256)
    }

    fn issue(&self, parameters: &CertificateParams, kind: KeyKind) -> anyhow::Result<Issued> {
        let key = kind.generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            chain: certificate.pem() + &self.chain,
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
            key_der: key.serialize_der(),
            kind,
        })
    }
}

fn authority(name: &str) -> anyhow::Result<CertificateParams> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    Ok(parameters)
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Issued {
    /// PEM: the certificate and the authorities between it and the root.
    pub chain: String,
    /// PEM: the key as PKCS#8.
    pub key: String,
    /// The certificate itself.
    pub der: Vec<u8>,
    /// The key as PKCS#8.
    pub key_der: Vec<u8>,
    kind: KeyKind,
}

impl Issued {
    /// PEM: the key as PKCS#1 or SEC1; none where there is no such form.
    pub fn traditional_key(&self) -> Option<String> {
        let label = self.kind.traditional_label()?;
        // PKCS#8 is a sequence of version, algorithm, and such a key as an octet string.
        let (fields, _) = value(&self.key_der)?;
        let (_, after_version) = value(fields)?;
        let (_, after_algorithm) = value(after_version)?;
        let (key, _) = value(after_algorithm)?;
        Some(pem(label, key))
    }
}

/// The value of the first DER element, and what follows the element.
fn value(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        _ => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = length
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
    };
    rest.split_at_checked(length)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}
