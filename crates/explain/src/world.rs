use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fairway_model::{HostPattern, IngressClaim, Snapshot};
use fairway_plan::{Element, Options, Sender};
use fairway_router::Index;

use crate::Notice;

/// All that an explanation may need to know.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// What the objects come to.
    pub snapshot: Arc<Snapshot>,
    /// How Services are programmed; absent where they are not.
    pub service_proxy: Option<Options>,
    /// How requests are routed; absent where they are not.
    pub ingress: Option<Routing>,
    /// What Ingresses, ours or not, ask for the hosts in question, oldest first.
    pub claims: Vec<IngressClaim>,
    /// What is wrong with objects.
    pub problems: Vec<Notice>,
    /// Addresses of this node beside those of its Node.
    pub interfaces: Vec<IpAddr>,
    /// What the kernel holds about the packets in question, where somebody has looked.
    pub kernel: Option<KernelFacts>,
}

/// How requests are routed.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// The compiled routes.
    pub index: Arc<Index>,
    /// Where the router listens for clear text.
    pub http: Vec<SocketAddr>,
    /// Where the router listens for TLS.
    pub https: Vec<SocketAddr>,
    /// Whether clear-text requests for hosts with TLS are sent to https where no policy says.
    pub redirects: bool,
    /// What TLS comes to for the hosts in question.
    pub tls: BTreeMap<HostPattern, HostTls>,
    /// What hosts without a certificate show; absent for a self-signed one.
    pub default_certificate: Option<CertificateFacts>,
}

/// What the TLS of a host comes to with the Secrets that there are.
#[derive(Clone, Debug, Default)]
pub struct HostTls {
    /// Its own certificate, where it has one.
    pub certificate: Option<CertificateFacts>,
    /// Nobody is let in: the authorities of its clients are not known.
    pub refuses: bool,
    /// There is what it takes to send clear-text requests to https.
    pub wants_https: bool,
}

/// What a certificate says about itself.
#[derive(Clone, Debug)]
pub struct CertificateFacts {
    /// The Secret it is from, as `namespace/name`.
    pub secret: String,
    /// The names it is for.
    pub names: Vec<String>,
    /// First second in which it is valid, since 1970.
    pub not_before: i64,
    /// Last second in which it is valid, since 1970.
    pub not_after: i64,
}

/// What the kernel holds about the packets in question.
#[derive(Clone, Debug)]
pub enum KernelFacts {
    /// These elements of our table.
    Elements(Vec<Element>),
    /// There is no table of ours.
    NoTable,
    /// It cannot be read.
    Unreadable(String),
}

impl World {
    /// Whether this node has the address.
    pub(crate) fn is_of_node(&self, address: IpAddr) -> bool {
        self.snapshot.node.addresses.contains(&address)
            || self.interfaces.contains(&address)
            || address.is_loopback()
    }

    /// What kind of sender has the address.
    pub(crate) fn sender(&self, address: IpAddr) -> Sender {
        if self.is_of_node(address) {
            return Sender::Node;
        }
        let networks = &self.snapshot.node.pod_cidrs;
        let is_pod = networks.iter().any(|network| network.contains(&address));
        if is_pod { Sender::Pod } else { Sender::Outside }
    }
}
