use crate::ObjectName;

/// TLS of one host. Keys are never part of the model: it names where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    /// Who does TLS with clients.
    pub handling: TlsHandling,
    /// Whether clear-text requests are sent to https; absent means as the router is configured.
    pub redirect: Option<bool>,
}

impl TlsPolicy {
    /// The router does TLS with this certificate, and lets everybody in.
    pub fn terminate(certificate: CertificateChoice) -> Self {
        Self {
            handling: TlsHandling::Terminate {
                certificate,
                client_auth: None,
            },
            redirect: None,
        }
    }

    /// Whether the host was asked to have TLS by name, rather than its Ingress to have some.
    pub fn lists_host(&self) -> bool {
        !matches!(
            self.handling,
            TlsHandling::Terminate {
                certificate: CertificateChoice::FirstThatCovers(_),
                client_auth: None,
            }
        )
    }

    /// Every Secret that it needs.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let (certificates, authorities) = match &self.handling {
            TlsHandling::Terminate {
                certificate,
                client_auth,
            } => (certificate.secrets(), client_auth.as_ref()),
            TlsHandling::Passthrough | TlsHandling::Refuse => (&[][..], None),
        };
        certificates
            .iter()
            .chain(authorities.map(|auth| &auth.authorities))
    }
}

/// Who does TLS with clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsHandling {
    /// The router.
    Terminate {
        /// What it shows.
        certificate: CertificateChoice,
        /// Which clients it lets in; absent means all.
        client_auth: Option<ClientAuthPolicy>,
    },
    /// The endpoints of the host's path `/`: the router looks at the name in the ClientHello only.
    Passthrough,
    /// Nobody: what the host wants of its clients is not known.
    Refuse,
}

/// Which certificate a host shows. Where the chosen one cannot be had, the default certificate is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateChoice {
    /// The default certificate.
    Default,
    /// That of one Secret.
    Secret([SecretRef; 1]),
    /// That of the first Secret whose certificate names the host.
    FirstThatCovers(Vec<SecretRef>),
}

impl CertificateChoice {
    /// The Secrets that it depends on.
    pub fn secrets(&self) -> &[SecretRef] {
        match self {
            Self::Default => &[],
            Self::Secret(secret) => secret,
            Self::FirstThatCovers(secrets) => secrets,
        }
    }
}

/// Which clients are let in, by their certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuthPolicy {
    /// The Secret whose `ca.crt` holds the authorities.
    pub authorities: SecretRef,
    /// Clients without a certificate are let in too.
    pub optional: bool,
}

/// Names a Secret that holds a certificate and its key, or authorities.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRef(pub ObjectName);
