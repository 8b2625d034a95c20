use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::{
    CertificateChoice, HostPattern, ObjectName, SecretRef, TlsHandling, TlsPolicy,
};
use rustls::RootCertStore;

use super::Certificate;

/// Everything that Secrets gave, by Secret. Of one that is broken, what it gave last.
#[derive(Debug, Default)]
pub struct Certificates {
    pub(crate) certificates: BTreeMap<ObjectName, Arc<Certificate>>,
    pub(crate) authorities: BTreeMap<ObjectName, Arc<RootCertStore>>,
    pub(crate) default: Option<ObjectName>,
}

/// What the policy of a host comes to with the certificates that there are.
#[derive(Debug)]
pub enum HostCertificates {
    /// The router does TLS.
    Terminate {
        /// The host's own certificate; the default certificate where there is none.
        certificate: Option<Arc<Certificate>>,
        /// The authorities of its clients, and whether clients without a certificate are let in.
        client_auth: Option<(Arc<RootCertStore>, bool)>,
    },
    /// The endpoints do TLS.
    Passthrough,
    /// Nobody is to be let in: it is not known who should be.
    Refuse,
}

impl Certificates {
    /// What `policy` comes to for `host`.
    pub fn resolve(&self, host: &HostPattern, policy: &TlsPolicy) -> HostCertificates {
        let (certificate, client_auth) = match &policy.handling {
            TlsHandling::Terminate {
                certificate,
                client_auth,
            } => (certificate, client_auth),
            TlsHandling::Passthrough => return HostCertificates::Passthrough,
            TlsHandling::Refuse => return HostCertificates::Refuse,
        };
        let client_auth = match client_auth {
            None => None,
            Some(auth) => match self.authorities.get(&auth.authorities.0) {
                Some(authorities) => Some((authorities.clone(), auth.optional)),
                None => return HostCertificates::Refuse,
            },
        };
        HostCertificates::Terminate {
            certificate: self.choose(host, certificate).cloned(),
            client_auth,
        }
    }

    /// Whether clear-text requests for a host are sent to https where its policy leaves it open. A
    /// Secret that is only tried must have a certificate for the host, or nobody asked for TLS.
    pub fn wants_https(&self, host: &HostPattern, policy: &TlsPolicy) -> bool {
        match &policy.handling {
            TlsHandling::Terminate {
                certificate: choice @ CertificateChoice::FirstThatCovers(_),
                ..
            } => self.choose(host, choice).is_some(),
            _ => true,
        }
    }

    /// The host's own certificate and the Secret that it is from; None where it has none, or TLS is
    /// passed through.
    pub fn shown(
        &self,
        host: &HostPattern,
        policy: &TlsPolicy,
    ) -> Option<(&ObjectName, &Arc<Certificate>)> {
        match &policy.handling {
            TlsHandling::Terminate { certificate, .. } => self.find(host, certificate),
            _ => None,
        }
    }

    /// As [`default_certificate`](Self::default_certificate), with the Secret.
    pub fn default_secret(&self) -> Option<(&ObjectName, &Arc<Certificate>)> {
        self.certificates.get_key_value(self.default.as_ref()?)
    }

    /// The certificate for hosts that have none, where one was configured and can be had.
    pub fn default_certificate(&self) -> Option<&Arc<Certificate>> {
        self.certificates.get(self.default.as_ref()?)
    }

    fn choose(&self, host: &HostPattern, choice: &CertificateChoice) -> Option<&Arc<Certificate>> {
        self.find(host, choice).map(|(_, certificate)| certificate)
    }

    fn find(
        &self,
        host: &HostPattern,
        choice: &CertificateChoice,
    ) -> Option<(&ObjectName, &Arc<Certificate>)> {
        let candidates = choice.secrets().iter();
        candidates
            .filter_map(|SecretRef(name)| self.certificates.get_key_value(name))
            .find(|(_, certificate)| certificate.covers(host))
    }
}
