use std::sync::Arc;
use std::time::Duration;

use super::{EjectionPolicy, LoadBalancing, RetryPolicy, UpstreamLimits};

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
    /// Which endpoint is asked.
    pub balancing: LoadBalancing,
    /// When another one is asked.
    pub retry: RetryPolicy,
    /// When endpoints that fail are left alone; absent for never.
    pub ejection: Option<EjectionPolicy>,
    /// How much it gets to do at once.
    pub limits: UpstreamLimits,
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
            balancing: LoadBalancing::default(),
            retry: RetryPolicy::default(),
            ejection: Some(EjectionPolicy::default()),
            limits: UpstreamLimits::default(),
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
