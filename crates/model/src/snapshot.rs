use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use crate::{HostPattern, Node, ObjectName, RouteTable, Service};

/// Services by name. Persistent: a new version shares all it did not change with the old one.
pub type ServiceMap = rpds::RedBlackTreeMapSync<ObjectName, Arc<Service>>;

/// Everything the cluster asks of this node at one moment. Immutable; a clone is a few
/// reference counts, and a change of one Service copies only the path to it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The node fairway runs on.
    pub node: Arc<Node>,
    /// All Services.
    pub services: ServiceMap,
    /// All routes of the ingress router.
    pub routes: RouteTable,
}

/// What differs between two snapshots, so that consumers need not compare them.
///
/// A name may be listed although nothing changed; nothing that changed is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Services added, changed or removed.
    pub services: BTreeSet<ObjectName>,
    /// Hosts whose routes were added, changed or removed.
    pub hosts: BTreeSet<HostPattern>,
    /// Hosts for which other certificates or authorities are to be used than before.
    pub tls: BTreeSet<HostPattern>,
    /// The default certificate is another one.
    pub default_certificate: bool,
    /// The node's facts changed.
    pub node: bool,
    /// What caused endpoints of `services` to change, where their source tells.
    pub triggers: Vec<Trigger>,
}

/// The beginning of a change of endpoints: what the delay until it is programmed is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Endpoints with IPv4 addresses changed, else such with IPv6 addresses.
    pub ipv4: bool,
    /// When, by the clock of the control plane.
    pub time: SystemTime,
}

impl Changes {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let Self {
            services,
            hosts,
            tls,
            default_certificate,
            node,
            // Only tells since when something else waits.
            triggers: _,
        } = self;
        services.is_empty() && hosts.is_empty() && tls.is_empty() && !default_certificate && !node
    }

    /// Adds the changes of a later update.
    pub fn merge(&mut self, later: Self) {
        self.services.extend(later.services);
        self.hosts.extend(later.hosts);
        self.tls.extend(later.tls);
        self.default_certificate |= later.default_certificate;
        self.node |= later.node;
        self.triggers.extend(later.triggers);
    }

    /// Everything that `snapshot` holds: what to do when nothing is known of the past.
    pub fn everything(snapshot: &Snapshot) -> Self {
        Self {
            services: snapshot.services.keys().cloned().collect(),
            hosts: snapshot.routes.hosts.keys().cloned().collect(),
            tls: snapshot.routes.hosts.keys().cloned().collect(),
            default_certificate: true,
            node: true,
            triggers: Vec::new(),
        }
    }
}

/// A snapshot and what changed since the one published before it.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// The state to converge to.
    pub snapshot: Arc<Snapshot>,
    /// How it differs from the last one published.
    pub changes: Changes,
}
