use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[command(next_help_heading = "Ingress")]
pub(crate) struct IngressArgs {
    /// Route Ingress traffic
    #[arg(long, default_value = "true")]
    pub(crate) ingress: bool,

    /// Where to accept HTTP; may be repeated. The default accepts IPv4 too
    #[arg(
        long,
        value_name = "IP:PORT",
        value_delimiter = ',',
        default_value = "[::]:8080"
    )]
    pub(crate) ingress_http_address: Vec<String>,

    /// Where to accept HTTPS; may be repeated; empty: nowhere. The default accepts IPv4 too
    #[arg(
        long,
        value_name = "IP:PORT",
        value_delimiter = ',',
        default_value = "[::]:8443"
    )]
    pub(crate) ingress_https_address: Vec<String>,

    /// The Secret of the certificate for hosts that have none [default: a self-signed certificate]
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) default_tls_secret: Option<String>,

    /// The Service that answers what no rule and no Ingress's default backend does [default: 404]
    ///
    /// Its port by number or name; 80 if none is given.
    #[arg(long, value_name = "NAMESPACE/NAME[:PORT]")]
    pub(crate) default_backend_service: Option<String>,

    /// Forward to Services of type ExternalName
    ///
    /// Never to loopback, link-local (so no metadata service), multicast, this node's or Services' addresses,
    /// whatever the name is.
    #[arg(long, default_value = "true")]
    pub(crate) external_names: bool,

    /// Send clear-text requests for hosts with TLS to https, by status 308
    #[arg(long, default_value = "true")]
    pub(crate) redirect_to_https: bool,

    /// Seconds for which browsers use a host that has a certificate by https only; 0: not said
    ///
    /// The header Strict-Transport-Security; one that the application sets itself is left alone.
    #[arg(long, value_name = "SECONDS", default_value_t = 31_536_000)]
    pub(crate) hsts_max_age: u32,

    /// Accept HTTP/2 in clear text, too, from clients that begin with it (prior knowledge)
    ///
    /// With TLS it needs no flag: clients ask for it by ALPN.
    #[arg(long)]
    pub(crate) ingress_h2c: bool,

    /// The IngressClass (and legacy annotation value) that is served
    #[arg(long, value_name = "NAME", default_value = "fairway")]
    pub(crate) ingress_class: String,

    /// spec.controller of the IngressClasses that are served; may be repeated
    ///
    /// Naming another controller adopts its classes.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "fairway.dev/ingress"
    )]
    pub(crate) controller: Vec<String>,

    /// Serve Ingresses that name no class, too
    #[arg(long)]
    pub(crate) watch_ingress_without_class: bool,

    /// Networks whose X-Forwarded-* headers and PROXY protocol are believed: addresses or CIDRs [default: none]
    #[arg(long, value_name = "CIDR[,CIDR...]", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<String>,

    /// Whether connections of trusted proxies begin with a PROXY protocol header, on HTTP and HTTPS
    ///
    /// With `optional`, whoever is not trusted or sends none speaks for itself; with `required`, both are
    /// turned away.
    #[arg(long, value_enum, value_name = "MODE", default_value = "off")]
    pub(crate) proxy_protocol: ProxyProtocol,

    /// The most connections of clients [default: 65536 per worker]
    ///
    /// For one more, the connection is closed that has been idle for longest.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: Option<u32>,

    /// The most connections of one client: an IPv4 address or an IPv6 /64 [default: no limit]
    ///
    /// Trusted proxies that do not tell who is behind them (PROXY protocol) have none.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections_per_client: Option<u32>,

    /// Bytes a second that a request's body has to bring after its first minute; 0 for none
    ///
    /// Only time counts that is spent waiting for the client. Calls of gRPC and WebSockets are exempt.
    #[arg(long, value_name = "BYTES", default_value_t = 16)]
    pub(crate) min_body_rate: u32,

    /// Bytes a second that a client has to take of a response after its first minute; 0 for none
    ///
    /// Only time counts in which the client keeps a response waiting. WebSockets are exempt.
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub(crate) min_response_rate: u32,

    /// Share of the container's memory limit above which requests are refused, in percent; 0 for none
    ///
    /// Above it, idle connections are closed and further requests get 503. Those under way go on, and so do a
    /// few new ones. Without a limit there is none.
    #[arg(long, value_name = "PERCENT", default_value_t = 90, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) memory_watermark: u8,

    /// Threads that carry traffic [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// Seconds in which new connections are still accepted after SIGTERM, while /healthz says 503
    ///
    /// As long as load balancers take to notice: the number of checks that must fail times their interval,
    /// and their time-out. Part of --drain-seconds. SIGINT, or a second SIGTERM, skips it.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) drain_delay_seconds: u32,

    /// Seconds from SIGTERM until requests that are still open are cut
    ///
    /// Keep it below the pod's terminationGracePeriodSeconds (30 unless you set it).
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) drain_seconds: u32,
}

/// Of `--proxy-protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ProxyProtocol {
    Off,
    Optional,
    Required,
}

impl From<ProxyProtocol> for fairway_proxy::ProxyProtocol {
    fn from(mode: ProxyProtocol) -> Self {
        match mode {
            ProxyProtocol::Off => Self::Off,
            ProxyProtocol::Optional => Self::Optional,
            ProxyProtocol::Required => Self::Required,
        }
    }
}
