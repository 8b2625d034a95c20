//! The ingress half: routes into the proxy's workers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fairway_model::{Changes, Update};
use fairway_proxy::{Handle, Metrics, TlsSettings, TlsTable, self_signed};
use fairway_router::{Builder, Index};
use tracing::{info, warn};

use crate::config::Config;

/// The running router.
pub(crate) struct Ingress {
    builder: Builder,
    routes: Arc<ArcSwap<Index>>,
    handle: Handle,
    /// As configured.
    addresses: Vec<SocketAddr>,
    /// Rules that cannot match, as reported.
    problems: BTreeSet<String>,
}

impl Ingress {
    /// Compiles the first routes, then opens the listeners, those of a former router beside it.
    pub(crate) fn start(
        config: &Config,
        first: &Update,
        metrics: Metrics,
        former: Option<&Self>,
    ) -> anyhow::Result<Self> {
        let mut builder = Builder::new();
        let index = builder.apply(&first.snapshot, &Changes::everything(&first.snapshot));
        let routes = Arc::new(ArcSwap::new(index));
        let bound = fairway_proxy::bind(fairway_proxy::Config {
            http: config.router.http_addresses.clone(),
            h2c: config.router.h2c,
            workers: config.router.workers.get(),
            trusted_proxies: config.router.trusted_proxies.clone(),
            taken_over: former.map_or_else(Vec::new, |former| former.addresses.clone()),
            ..fairway_proxy::Config::default()
        })?;
        for address in bound.local_addresses() {
            info!(%address, "serving HTTP");
        }
        let tls = TlsTable::new(&TlsSettings::default(), Arc::new(self_signed()?))?;
        let tls = Arc::new(ArcSwap::from_pointee(tls));
        let handle = bound.serve(routes.clone(), tls, metrics)?;
        let mut ingress = Self {
            addresses: config.router.http_addresses.clone(),
            builder,
            routes,
            handle,
            problems: BTreeSet::new(),
        };
        ingress.report_problems();
        Ok(ingress)
    }

    /// Swaps in the routes of an update. Open connections are not touched.
    pub(crate) fn apply(&mut self, update: &Update) {
        let index = self.builder.apply(&update.snapshot, &update.changes);
        self.routes.store(index);
        self.report_problems();
    }

    /// Tells once which rules can match nothing.
    fn report_problems(&mut self) {
        let problems: BTreeSet<_> = self.builder.problems().map(ToString::to_string).collect();
        for problem in problems.difference(&self.problems) {
            warn!("{problem}");
        }
        self.problems = problems;
    }

    /// Lets open requests finish, for as long as `grace`.
    pub(crate) async fn drain(self, grace: Duration) {
        self.handle.drain(grace).await;
    }
}
