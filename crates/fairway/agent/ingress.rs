//! The ingress half: routes and certificates into the proxy's workers.

mod external_hosts;
mod retired;
mod tls;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fairway_cluster::{Certificates, Problem};
use fairway_model::{Changes, RouteTable, Snapshot, Update};
use fairway_proxy::{Handle, ListeningSockets, Metrics, Tracing};
use fairway_router::{Builder, Index};
use tokio::time::timeout;
use tracing::{info, warn};

use self::external_hosts::{Answers, ExternalHosts};
pub(crate) use self::retired::Retired;
use self::tls::Tls;
use super::open_files::room_for_connections;
use crate::config::{Config, overlap};

/// How long hosts outside of the cluster are looked up before clients are let in: longer than a resolver takes
/// that works, shorter than one takes to give up.
const FIRST_LOOKUPS: Duration = Duration::from_secs(2);

/// What a router finds of the one before it, which serves until the new one does.
#[derive(Default)]
pub(crate) struct Before {
    /// Where both listen for a while.
    shared: Vec<SocketAddr>,
    /// What it listens with, where it is of this process.
    sockets: ListeningSockets,
    /// Where hosts outside of the cluster are.
    known: Answers,
    /// What it routes.
    routes: RouteTable,
}

impl Before {
    /// One of another process.
    pub(crate) fn elsewhere(ours: impl Iterator<Item = SocketAddr>) -> Self {
        Self {
            shared: ours.collect(),
            ..Self::default()
        }
    }
}

/// The running router.
pub(crate) struct Ingress {
    builder: Builder,
    routes: Arc<ArcSwap<Index>>,
    tls: Tls,
    /// None where they are not wanted.
    external_hosts: Option<ExternalHosts>,
    snapshot: Arc<Snapshot>,
    handle: Handle,
    metrics: Metrics,
    /// As configured.
    addresses: Vec<SocketAddr>,
    /// The longest time from an accepted connection to its first request.
    last_request: Duration,
    /// Rules that cannot match, as reported.
    problems: BTreeSet<String>,
    /// Which routes there are cannot be known: those of before stay.
    keeps_routes: bool,
}

impl Ingress {
    /// Compiles the first routes, then opens the listeners: some beside those of the router before.
    pub(crate) async fn start(
        config: &Config,
        first: &Update,
        certificates: &Certificates,
        metrics: Metrics,
        tracing: Tracing,
        before: Before,
    ) -> anyhow::Result<Self> {
        let first = Update {
            changes: Changes::everything(&first.snapshot),
            ..first.clone()
        };
        let mut builder = Builder::new();
        let index = builder.apply(&first.snapshot, &first.changes);
        let routes = Arc::new(ArcSwap::new(index));
        let external_hosts = config.router.external_hosts;
        let mut external_hosts = external_hosts.then(|| ExternalHosts::new(before.known));
        if let Some(hosts) = &mut external_hosts {
            hosts.follow(builder.external_hosts());
            let all = async {
                while hosts.awaits_answers() {
                    locate(hosts, &mut builder, &first.snapshot).await;
                }
            };
            // Those that take longer are found later.
            let _ = timeout(FIRST_LOOKUPS, all).await;
        }
        let mut tls = Tls::new(config.router.redirects())?;
        tls.apply(&first, certificates);
        let mut limits = config.router.limits();
        let room = room_for_connections() / config.router.workers.get() as u64;
        if room < limits.connections_per_worker as u64 {
            limits.connections_per_worker = usize::try_from(room).unwrap_or(1).max(1);
            info!(
                connections_per_worker = limits.connections_per_worker,
                "the limit of open files allows for fewer client connections"
            );
        }
        let timeouts = config.router.timeouts();
        let wanted = fairway_proxy::Config {
            http: config.router.http_addresses.clone(),
            https: config.router.https_addresses.clone(),
            hsts: config.router.hsts(),
            h2c: config.router.h2c,
            workers: config.router.workers.get(),
            trusted_proxies: config.router.trusted_proxies.clone(),
            proxy_protocol: config.router.proxy_protocol.into(),
            limits,
            memory: config.router.memory(),
            timeouts: timeouts.clone(),
            access_log: (&config.observation.access_log).into(),
            log_format: config.observation.access_log_format.clone(),
            tracing,
            taken_over: before.shared,
        };
        let bound = fairway_proxy::bind_after(wanted, &before.sockets)?;
        for address in bound.local_addresses() {
            info!(%address, "serving HTTP");
        }
        for address in bound.https_addresses() {
            info!(%address, "serving HTTPS");
        }
        let handle = bound.serve(routes.clone(), tls.shared(), metrics.clone())?;
        for host in before.routes.hosts.keys() {
            let routes = first.snapshot.routes.hosts.get(host);
            metrics.routes_changed(host, routes.map(Arc::as_ref));
        }
        let mut ingress = Self {
            addresses: config.router.addresses().collect(),
            last_request: timeouts.proxy_header + timeouts.handshake + timeouts.head,
            builder,
            routes,
            tls,
            external_hosts,
            snapshot: first.snapshot,
            handle,
            metrics,
            problems: BTreeSet::new(),
            keeps_routes: false,
        };
        ingress.report_problems();
        Ok(ingress)
    }

    /// The routes in force.
    pub(crate) fn index(&self) -> Arc<Index> {
        self.routes.load_full()
    }

    /// Swaps in the routes and certificates of an update. Open connections are not touched.
    pub(crate) fn apply(&mut self, update: &Update, certificates: &Certificates) {
        if self.keeps_routes {
            return self.apply_services(update);
        }
        let index = self.builder.apply(&update.snapshot, &update.changes);
        self.routes.store(index);
        for host in &update.changes.hosts {
            let routes = update.snapshot.routes.hosts.get(host);
            self.metrics.routes_changed(host, routes.map(Arc::as_ref));
        }
        self.tls.apply(update, certificates);
        self.report_problems();
        self.follow_services(update);
    }

    /// Goes on with the routes and certificates that there are, for a configuration that knows no routes
    /// yet, and with the Services that it knows.
    pub(crate) fn keep_routes(&mut self, first: &Update) {
        self.keeps_routes = true;
        // Of the configuration before, like what looks hosts up.
        let gone = self.snapshot.services.keys();
        let mut first = first.clone();
        first.changes = Changes::everything(&first.snapshot);
        first.changes.services.extend(gone.cloned());
        if let Some(hosts) = &mut self.external_hosts {
            *hosts = ExternalHosts::new(hosts.answers());
        }
        self.apply_services(&first);
    }

    fn apply_services(&mut self, update: &Update) {
        let snapshot = Snapshot {
            routes: self.snapshot.routes.clone(),
            ..Snapshot::clone(&update.snapshot)
        };
        let changes = Changes {
            services: update.changes.services.clone(),
            node: update.changes.node,
            ..Changes::default()
        };
        // No routes change, and so it is the index of before.
        self.builder.apply(&snapshot, &changes);
        self.follow_services(&Update {
            snapshot: Arc::new(snapshot),
            changes,
        });
    }

    fn follow_services(&mut self, update: &Update) {
        if let Some(hosts) = &mut self.external_hosts {
            hosts.review(&self.snapshot, update);
            hosts.follow(self.builder.external_hosts());
        }
        self.snapshot = update.snapshot.clone();
    }

    /// Waits until hosts outside of the cluster are found elsewhere or judged otherwise than before, and sends
    /// requests there. Cancel safe.
    pub(crate) async fn locate_external_hosts(&mut self) {
        let Some(hosts) = &mut self.external_hosts else {
            return std::future::pending().await;
        };
        locate(hosts, &mut self.builder, &self.snapshot).await;
    }

    /// What Services that are aliases of such hosts do not get.
    pub(crate) fn problems_of_external_hosts(&self) -> Vec<Problem> {
        let hosts = self.external_hosts.as_ref();
        hosts
            .map(|hosts| hosts.problems(&self.snapshot))
            .unwrap_or_default()
    }

    /// What a router that listens at `ours` inherits.
    pub(crate) fn precedes(&self, ours: impl Iterator<Item = SocketAddr>) -> Before {
        let is_shared = |ours: &SocketAddr| self.addresses.iter().any(|it| overlap(*ours, *it));
        let hosts = self.external_hosts.as_ref();
        Before {
            shared: ours.filter(is_shared).collect(),
            sockets: self.handle.listening_sockets(),
            known: hosts.map(ExternalHosts::answers).unwrap_or_default(),
            routes: self.snapshot.routes.clone(),
        }
    }

    /// Tells once which rules can match nothing.
    fn report_problems(&mut self) {
        let problems: BTreeSet<_> = self.builder.problems().map(ToString::to_string).collect();
        for problem in problems.difference(&self.problems) {
            warn!("{problem}");
        }
        self.problems = problems;
    }

    /// Opens the access log's file anew, if it is one.
    pub(crate) fn reopen_access_log(&self) {
        self.handle.reopen_access_log();
    }

    /// Accepts no more, and lets what is open finish.
    pub(crate) fn retire(self) -> Retired {
        self.handle.begin_drain();
        Retired {
            handle: self.handle,
            routes: self.routes,
            tls: self.tls.shared(),
            last_request: self.last_request,
        }
    }
}

/// Waits until hosts are found elsewhere or judged otherwise than before, and sends requests there. Cancel
/// safe.
async fn locate(hosts: &mut ExternalHosts, builder: &mut Builder, snapshot: &Snapshot) {
    for located in hosts.next(snapshot).await {
        builder.locate_host(&located.host, located.addresses, snapshot);
    }
}
