use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fairway_model::{Changes, Snapshot};
use fairway_proxy::{Handle, TlsTable};
use fairway_router::{Builder, Index};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::tls::Tls;
use crate::agent::signals::Reopens;

/// Time between the last request that may come and letting go of what routes it.
const MARGIN: Duration = Duration::from_secs(10);

/// A router that accepts no more connections, and keeps those that it has.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(super) handle: Handle,
    pub(super) routes: Arc<ArcSwap<Index>>,
    pub(super) tls: Arc<ArcSwap<TlsTable>>,
    /// From the last accepted connection to its first request.
    pub(super) last_request: Duration,
}

impl Retired {
    /// Waits until nothing is open any more, or until `cut`, which ends what is left.
    pub(crate) async fn finish(mut self, cut: impl Future<Output = ()>, mut reopens: Reopens) {
        let routed = Instant::now() + self.last_request + MARGIN;
        let mut cut = std::pin::pin!(cut);
        let (mut is_routed, mut is_cut) = (false, false);
        loop {
            tokio::select! {
                () = self.handle.drained() => break,
                () = &mut cut, if !is_cut => {
                    is_cut = true;
                    self.handle.cut();
                }
                () = reopens.next() => self.handle.reopen_access_log(),
                () = sleep_until(routed), if !is_routed => {
                    is_routed = true;
                    self.forget_routes();
                }
            }
        }
        self.handle.close().await;
    }

    /// What is open now needs no routes and no certificates: a WebSocket may stay for days, and a large
    /// cluster's routes and keys need not stay with it.
    fn forget_routes(&self) {
        let nothing = Snapshot::default();
        let index = Builder::new().apply(&nothing, &Changes::everything(&nothing));
        self.routes.store(index);
        match Tls::new(false) {
            Ok(tls) => self.tls.store(tls.shared().load_full()),
            Err(error) => warn!(%error, "a router that retires keeps its certificates"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use fairway_model::{HostPattern, HostRoutes};
    use fairway_proxy::{AccessLog, Config, Metrics, MetricsOptions, bind};
    use prometheus_client::registry::Registry;

    use super::*;

    /// Time passes as soon as nobody has anything to do.
    #[tokio::test(start_paused = true)]
    async fn what_is_open_costs_no_routes() {
        let mut snapshot = Snapshot::default();
        let host = HostPattern::Exact("web".into());
        let routes = Arc::new(HostRoutes::default());
        snapshot.routes.hosts.insert_mut(host, routes);
        let index = Builder::new().apply(&snapshot, &Changes::everything(&snapshot));
        let routes = Arc::new(ArcSwap::new(index));
        let was = Arc::downgrade(&routes.load_full());
        let bound = bind(Config {
            http: vec!["127.0.0.1:0".parse().unwrap()],
            workers: 1,
            access_log: AccessLog::Off,
            ..Config::default()
        });
        let bound = bound.unwrap();
        let mut client = TcpStream::connect(bound.local_addresses()[0]).unwrap();
        let tls = Tls::new(false).unwrap().shared();
        let metrics = Metrics::register(&mut Registry::default(), &MetricsOptions::default());
        let handle = bound.serve(routes.clone(), tls.clone(), metrics).unwrap();
        // The beginning of a request: the connection is served, and stays open.
        client.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        handle.begin_drain();
        let retired = Retired {
            handle,
            routes,
            tls,
            last_request: Duration::ZERO,
        };
        let mut held = true;
        let cut = async {
            tokio::time::sleep(2 * MARGIN).await;
            held = was.upgrade().is_some();
        };
        retired.finish(cut, Reopens::never()).await;
        assert!(!held, "the routes outlive their use");
        assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0, "cut");
    }
}
