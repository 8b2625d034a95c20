use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fairway_admin::{Health, ServiceProxyMetrics};
use fairway_cluster::ProblemMetrics;
use fairway_model::{Changes, Snapshot, Update};
use fairway_nft::{Monitor, Netlink};
use fairway_plan::Family;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::connections::ConnectionCounters;
use super::flow_table::Acceleration;
use super::flows::FlowCleaner;
use super::service_proxy::{Observers, ServiceProxy};
use crate::causes::with_causes;
use crate::config::Config;

/// The kernel's tables and who watches over them.
pub(super) struct Tables {
    pub(super) proxy: ServiceProxy<Netlink>,
    monitor: Monitor,
    acceleration: Acceleration,
}

impl Tables {
    /// With `connections` if they are counted.
    pub(super) fn start(
        config: &Config,
        snapshot: &Arc<Snapshot>,
        health: &Health,
        metrics: &ServiceProxyMetrics,
        problems: &ProblemMetrics,
        connections: Option<&ConnectionCounters>,
    ) -> anyhow::Result<Self> {
        let mut netlink = Netlink::open()?;
        // Listening starts before the tables are read, so that no change in between is missed.
        let monitor = Monitor::open(&mut netlink)?;
        let options = config.rules.plan_options();
        let first = Update {
            snapshot: snapshot.clone(),
            changes: Changes::everything(snapshot),
        };
        let proxy = ServiceProxy::start(
            netlink,
            &families(),
            options,
            &first,
            Observers {
                health: health.clone(),
                metrics: metrics.clone(),
                problems: problems.clone(),
                connections: connections.cloned(),
            },
            FlowCleaner::open_kernel(),
        );
        Ok(Self {
            proxy,
            monitor,
            acceleration: Acceleration::start(&config.rules.flow_table_interfaces),
        })
    }

    /// Waits for interference or for the time of a retry, and deals with it. Never returns
    /// without tables.
    pub(super) async fn wake(tables: Option<&mut Self>) {
        let Some(tables) = tables else {
            return std::future::pending().await;
        };
        let retry = tables.proxy.next_retry();
        let until_retry = async {
            match retry {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = tables.monitor.changed() => match changed {
                Ok(()) => {
                    info!("somebody changed fairway's tables, or may have: checking them");
                    tables.proxy.verify();
                    tables.acceleration.renew();
                }
                Err(error) => {
                    warn!(reason = with_causes(&error), "cannot watch for changes of nf_tables; checking the tables");
                    tables.proxy.verify();
                    sleep_until(Instant::now() + Duration::from_secs(1)).await;
                }
            },
            () = tables.acceleration.wake() => {}
            () = until_retry => tables.proxy.retry(),
        }
    }
}

/// The families of this kernel: a node without IPv6 has no use for tables of it.
fn families() -> Vec<Family> {
    let has_ip6 = Path::new("/proc/net/if_inet6").exists();
    if !has_ip6 {
        info!("this kernel has no IPv6: only IPv4 is programmed");
    }
    let families = Family::ALL.into_iter();
    families
        .filter(|family| *family == Family::Ip4 || has_ip6)
        .collect()
}
