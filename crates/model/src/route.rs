use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{ObjectName, ObjectRef, Port};

/// All routes of the ingress listeners: Ingress today, the HTTP part of Gateway API on the same types.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// Routes by host. A request uses exactly one entry: exact before wildcard before any.
    pub hosts: rpds::RedBlackTreeMapSync<HostPattern, Arc<HostRoutes>>,
}

/// Which hosts an entry is for. The order is by specificity and then by text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// Exactly this host: lower-case, without a trailing dot or port.
    Exact(Arc<str>),
    /// `*.` before this suffix (stored without `*.`).
    Wildcard {
        /// What follows the wildcard's dot.
        suffix: Arc<str>,
        /// How much the wildcard stands for.
        span: WildcardSpan,
    },
    /// Every host that nothing more specific matches.
    Any,
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard { suffix, .. } => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// How many labels a `*` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WildcardSpan {
    /// One, as in Ingress.
    OneLabel,
    /// One or more, as in Gateway API.
    OneOrMoreLabels,
}

/// The routes of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRoutes {
    /// In the order in which equals win: oldest object first, then name, then position.
    pub rules: Vec<Rule>,
    /// Answers what no rule matches; without it the router answers 404.
    pub default: Option<Rule>,
    /// How TLS is served for the host; absent where no object asks for TLS.
    pub tls: Option<Arc<TlsPolicy>>,
}

/// One match and what to do with the requests it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it was declared.
    pub id: RuleId,
    /// Which requests it is for.
    pub matches: RequestMatch,
    /// Applied in order before the action.
    pub filters: Vec<Filter>,
    /// What answers the request.
    pub action: Action,
    /// How the upstream is spoken to.
    pub policy: Arc<UpstreamPolicy>,
}

/// Names a rule for people, logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    /// The object that declares it.
    pub object: ObjectRef,
    /// The field, for example `spec.rules[0].http.paths[1]`.
    pub field: Arc<str>,
}

/// Conditions on a request; all must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMatch {
    /// The path.
    pub path: PathMatch,
    /// The method, upper-case.
    pub method: Option<Arc<str>>,
    /// Request headers, names lower-case.
    pub headers: Vec<NameMatch>,
    /// Query parameters.
    pub query: Vec<NameMatch>,
}

impl RequestMatch {
    /// Every request.
    pub fn any() -> Self {
        Self::path(PathMatch::Prefix("/".into()))
    }

    /// Every request whose path matches.
    pub fn path(path: PathMatch) -> Self {
        Self {
            path,
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }
    }
}

/// How a path is matched. Always case-sensitive; the query is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathMatch {
    /// The whole path, trailing slash included.
    Exact(Arc<str>),
    /// Whole elements from the start: `/foo` and `/foo/` both match `/foo`, `/foo/` and `/foo/x`, never `/foobar`.
    Prefix(Arc<str>),
    /// A regular expression from the start of the path.
    Regex(Arc<str>),
}

/// A header or query parameter condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameMatch {
    /// Header or parameter name.
    pub name: Arc<str>,
    /// Condition on the value.
    pub value: TextMatch,
}

/// A condition on a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// Exactly this.
    Exact(Arc<str>),
    /// A regular expression over the whole text.
    Regex(Arc<str>),
}

/// A change to the request or response on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Sets a request header for the upstream, replacing what the client sent.
    SetRequestHeader(Arc<str>, Arc<str>),
    /// Removes a request header.
    RemoveRequestHeader(Arc<str>),
    /// Sets a response header for the client.
    SetResponseHeader(Arc<str>, Arc<str>),
    /// Removes a response header.
    RemoveResponseHeader(Arc<str>),
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// One of these backends, picked by weight. Never empty.
    Forward(Vec<Backend>),
    /// A redirect.
    Redirect(Redirect),
    /// A status of our own, for example 404 for a backend kind that is not supported.
    Respond(u16),
}

/// A share of the requests of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The Service; always in the namespace of the object that names it.
    pub service: ObjectName,
    /// Its port.
    pub port: BackendPort,
    /// Relative to the other backends of the rule; 0 gets nothing.
    pub weight: u32,
}

/// How a backend names a Service port: the Service's own port, never the target port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackendPort {
    /// By number.
    Number(Port),
    /// By name.
    Name(Arc<str>),
}

impl fmt::Display for BackendPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Where a redirect leads; what is absent stays as the client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<Arc<str>>,
    /// Another host.
    pub host: Option<Arc<str>>,
    /// Another port.
    pub port: Option<Port>,
    /// Another path.
    pub path: Option<Arc<str>>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// How an upstream is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamPolicy {
    /// The protocol; absent follows the port's `appProtocol`.
    pub protocol: Option<UpstreamProtocol>,
    /// How the upstream's certificate is looked at, where the protocol has TLS.
    pub tls: UpstreamTls,
    /// Limit for opening a connection.
    pub connect_timeout: Duration,
    /// Longest silence of the upstream while an answer is awaited or being read. Absent: 60 seconds, and
    /// no limit for gRPC, whose streams may be silent for hours.
    pub read_timeout: Option<Duration>,
    /// Longest time in which the upstream accepts nothing while the request is sent.
    pub write_timeout: Duration,
}

impl Default for UpstreamPolicy {
    /// nginx's limits, which most Ingress users have tuned their applications to.
    fn default() -> Self {
        Self {
            protocol: None,
            tls: UpstreamTls::default(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: None,
            write_timeout: Duration::from_secs(60),
        }
    }
}

/// Protocols towards an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1 in clear text.
    Http1,
    /// HTTP/2 in clear text with prior knowledge.
    Http2,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2 over TLS.
    Http2Tls,
}

impl UpstreamProtocol {
    /// What a port's `appProtocol` stands for: Kubernetes' own names, and the IANA and Istio names in use.
    /// None for what says nothing about HTTP.
    pub fn of_app_protocol(name: &str) -> Option<Self> {
        Some(match name {
            "http" | "kubernetes.io/ws" | "ws" => Self::Http1,
            "kubernetes.io/h2c" | "h2c" | "http2" | "grpc" => Self::Http2,
            "https" | "kubernetes.io/wss" | "wss" => Self::Https,
            "grpcs" => Self::Http2Tls,
            _ => return None,
        })
    }
}

/// TLS towards an upstream. The default is nginx's: encrypted, but not proven to be anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// The name that is asked for (SNI) and has to be in the certificate. Absent: no name is asked for,
    /// and the endpoint's address has to be in the certificate.
    pub server_name: Option<Arc<str>>,
    /// Certificates (PEM) of those who may have signed the upstream's. Absent: it is not verified.
    pub authorities: Option<Arc<str>>,
}

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
            TlsHandling::Passthrough => (&[][..], None),
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
