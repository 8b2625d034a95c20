use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

use super::{RouteTraffic, Status};
use crate::HealthReport;

/// What there is to know at a glance.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    version: &'static str,
    node: String,
    /// Upper bounds of latencies, in milliseconds.
    latency_bounds_ms: [u64; 12],
    now: String,
    /// When all this was so, in milliseconds since 1970: rates are differences by this clock.
    at_ms: u64,
    since: String,
    healthy: bool,
    families: Vec<Family>,
    node_eligible: bool,
    /// None without a router.
    router_serving: Option<bool>,
    /// False where Services should be programmed and cannot be.
    service_proxy_serving: Option<bool>,
    draining: bool,
    counts: Counts,
    /// Requests of all routes, and of none.
    traffic: TrafficItem,
}

#[derive(Debug, Serialize)]
struct Family {
    family: String,
    /// None before the first time.
    last_applied: Option<String>,
    fresh: bool,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    services: usize,
    endpoints: usize,
    endpoints_ready: usize,
    hosts: usize,
    routes: usize,
    certificates: usize,
    problems: usize,
}

/// Requests so far.
#[derive(Debug, Serialize)]
pub(super) struct TrafficItem {
    requests: u64,
    client_errors: u64,
    server_errors: u64,
    in_flight: u64,
    latencies: [u64; 13],
}

impl Overview {
    pub(super) fn new(status: &Status, health: &HealthReport, now: SystemTime) -> Self {
        let mut traffic = RouteTraffic::default();
        status.traffic.iter().for_each(|route| traffic.add(route));
        let families = health.families.iter().map(|(family, health)| Family {
            family: family.to_string(),
            last_applied: health.last_applied.map(|at| from_seconds(at.as_second())),
            fresh: health.fresh,
        });
        Self {
            version: status.version,
            node: status.snapshot.node.name.to_string(),
            latency_bounds_ms: Status::LATENCY_BOUNDS_MS,
            now: text(now),
            at_ms: u64::try_from(since_1970(status.at).as_millis()).unwrap_or(u64::MAX),
            since: text(status.since),
            healthy: health.is_ready(),
            families: families.collect(),
            node_eligible: health.node_eligible,
            router_serving: health.router_serving,
            service_proxy_serving: health.service_proxy_serving,
            draining: health.draining,
            counts: Counts::of(status),
            traffic: TrafficItem::new(&traffic),
        }
    }
}

impl Counts {
    fn of(status: &Status) -> Self {
        let mut counts = Self {
            services: status.snapshot.services.size(),
            hosts: status.snapshot.routes.hosts.size(),
            certificates: status.certificates.len(),
            problems: status.problem_count,
            ..Self::default()
        };
        for service in status.snapshot.services.values() {
            for port in &service.ports {
                counts.endpoints += port.endpoints.len();
                let ready = port.endpoints.iter().filter(|it| it.conditions.ready);
                counts.endpoints_ready += ready.count();
            }
        }
        for routes in status.snapshot.routes.hosts.values() {
            counts.routes += routes.rules.len() + usize::from(routes.default.is_some());
        }
        counts
    }
}

impl TrafficItem {
    pub(super) fn new(traffic: &RouteTraffic) -> Self {
        Self {
            requests: traffic.requests,
            client_errors: traffic.client_errors,
            server_errors: traffic.server_errors,
            in_flight: traffic.in_flight,
            latencies: traffic.latencies,
        }
    }
}

/// RFC 3339, in whole seconds.
pub(super) fn text(time: SystemTime) -> String {
    from_seconds(i64::try_from(since_1970(time).as_secs()).unwrap_or(i64::MAX))
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// The same of seconds since 1970; what is beyond all calendars is their end.
pub(super) fn from_seconds(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds);
    let end = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    time.unwrap_or(end).to_string()
}
