//! The ingress half: routes and certificates into the proxy's workers.

mod external_hosts;
mod retired;
mod tls;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fairway_cluster::{Certificates, Problem, Reason};
use fairway_model::{Changes, ObjectRef, Service, ServiceKind, Snapshot, Update};
use fairway_proxy::{Handle, Metrics, Tracing};
use fairway_router::{Builder, Index};
use tracing::{info, warn};

use self::external_hosts::{ExternalHosts, Located};
pub(crate) use self::retired::Retired;
use self::tls::Tls;
use super::open_files::room_for_connections;
use crate::config::Config;

/// Most refused addresses that are told at a time; the log has all.
const MOST_REFUSED: usize = 20;

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
}

impl Ingress {
    /// Compiles the first routes, then opens the listeners: the shared ones beside those of the router
    /// before.
    pub(crate) fn start(
        config: &Config,
        first: &Update,
        certificates: &Certificates,
        metrics: Metrics,
        tracing: Tracing,
        shared: Vec<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let first = Update {
            changes: Changes::everything(&first.snapshot),
            ..first.clone()
        };
        let mut builder = Builder::new();
        let index = builder.apply(&first.snapshot, &first.changes);
        let routes = Arc::new(ArcSwap::new(index));
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
        let bound = fairway_proxy::bind(fairway_proxy::Config {
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
            taken_over: shared,
        })?;
        for address in bound.local_addresses() {
            info!(%address, "serving HTTP");
        }
        for address in bound.https_addresses() {
            info!(%address, "serving HTTPS");
        }
        let handle = bound.serve(routes.clone(), tls.shared(), metrics.clone())?;
        let mut ingress = Self {
            addresses: config.router.addresses().collect(),
            last_request: timeouts.proxy_header + timeouts.handshake + timeouts.head,
            builder,
            routes,
            tls,
            external_hosts: config.router.external_hosts.then(ExternalHosts::new),
            snapshot: first.snapshot,
            handle,
            metrics,
            problems: BTreeSet::new(),
        };
        ingress.report_problems();
        ingress.follow_external_hosts();
        Ok(ingress)
    }

    /// The routes in force.
    pub(crate) fn index(&self) -> Arc<Index> {
        self.routes.load_full()
    }

    /// Where it listens, as configured.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Swaps in the routes and certificates of an update. Open connections are not touched.
    pub(crate) fn apply(&mut self, update: &Update, certificates: &Certificates) {
        let index = self.builder.apply(&update.snapshot, &update.changes);
        self.routes.store(index);
        for host in &update.changes.hosts {
            let routes = update.snapshot.routes.hosts.get(host);
            self.metrics.routes_changed(host, routes.map(Arc::as_ref));
        }
        self.tls.apply(update, certificates);
        self.report_problems();
        if let Some(hosts) = &mut self.external_hosts {
            hosts.review(&self.snapshot, update);
        }
        self.snapshot = update.snapshot.clone();
        self.follow_external_hosts();
    }

    fn follow_external_hosts(&mut self) {
        if let Some(hosts) = &mut self.external_hosts {
            hosts.follow(self.builder.external_hosts());
        }
    }

    /// Waits until hosts outside of the cluster are found elsewhere or judged otherwise than before, and sends
    /// requests there. Returns what the Services that are aliases of them do not get. Cancel safe.
    pub(crate) async fn locate_external_hosts(&mut self) -> Vec<Problem> {
        let Some(hosts) = &mut self.external_hosts else {
            return std::future::pending().await;
        };
        let mut problems = Vec::new();
        for located in hosts.next(&self.snapshot).await {
            problems.extend(self.refused(&located));
            self.builder
                .locate_host(&located.host, located.addresses, &self.snapshot);
        }
        problems
    }

    fn refused(&self, located: &Located) -> Vec<Problem> {
        if located.newly_refused.is_empty() {
            return Vec::new();
        }
        let is_alias = |service: &Service| match &service.kind {
            ServiceKind::ExternalName(host) => **host == *located.host,
            _ => false,
        };
        let aliases = self.snapshot.services.values();
        let aliases = aliases.filter(|service| is_alias(service));
        let problems = aliases.flat_map(|service| {
            let refused = located.newly_refused.iter();
            refused.map(|(address, what)| Problem {
                object: ObjectRef {
                    kind: "Service",
                    name: service.name.clone(),
                },
                field: "spec.externalName".to_owned(),
                message: format!("has the address {address}, {what}, which is never asked"),
                reason: Reason::AddressRefused,
            })
        });
        problems.take(MOST_REFUSED).collect()
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
