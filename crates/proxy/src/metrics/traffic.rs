use super::Metrics;
use super::collector::routes;

/// Requests so far of one route to one of its backends, in all workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTraffic {
    /// As declared; empty for requests that met no route.
    pub host: String,
    /// As declared.
    pub path: String,
    /// Of the object that declares it.
    pub namespace: String,
    /// The object.
    pub ingress: String,
    /// The Service; empty where the router answers by itself.
    pub service: String,
    /// Its port.
    pub port: String,
    /// Those that are over.
    pub requests: u64,
    /// Of them, answered with 4xx, or given up by their client.
    pub client_errors: u64,
    /// Of them, answered with 5xx.
    pub server_errors: u64,
    /// Those that are not over.
    pub in_flight: u64,
    /// How many took as long as each of [`Self::BOUNDS_MS`] at most, and longer than the one before; the last
    /// one is of those that took longer than all.
    pub durations: [u64; 13],
}

impl RouteTraffic {
    /// Upper bounds of [`Self::durations`], in milliseconds.
    pub const BOUNDS_MS: [u64; 12] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
}

impl Metrics {
    /// What each route that has had requests did so far; as many as have series of their own, and the
    /// rest together.
    pub fn traffic(&self) -> Vec<RouteTraffic> {
        let shards = self.shards.all().clone();
        let routes = routes::sum(&shards).into_iter().map(|(labels, route)| {
            let mut traffic = RouteTraffic {
                host: labels.host.clone(),
                path: labels.path.clone(),
                namespace: labels.namespace.clone(),
                ingress: labels.ingress.clone(),
                service: labels.service.clone(),
                port: labels.port.clone(),
                requests: 0,
                client_errors: 0,
                server_errors: 0,
                in_flight: route.in_flight,
                durations: [0; 13],
            };
            for ((_, code), requests) in &route.outcomes {
                let count = requests.durations.count();
                traffic.requests += count;
                match code.class() {
                    4 => traffic.client_errors += count,
                    5 => traffic.server_errors += count,
                    _ => {}
                }
                let counts = traffic.durations.iter_mut();
                counts
                    .zip(requests.durations.counts())
                    .for_each(|(sum, count)| *sum += count);
            }
            traffic
        });
        routes.collect()
    }
}
