//! What happens in the cluster meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fairway_testkit::ask;
use fairway_testkit::lab::Pod;
use fairway_testkit::objects::{self, ingress};
use hdrhistogram::Histogram;

use crate::site::{SERVICES, Site};
use crate::tally::microseconds;

/// Twenty a second.
const PERIOD: Duration = Duration::from_millis(50);
/// A certificate every five seconds.
const CERTIFICATE_EVERY: u64 = 100;
/// How often it is measured when a change is seen: once a second.
const SEEN_EVERY: u64 = 20;
/// Ingresses, with a Service each, that come and go.
const VISITORS: usize = 50;
/// A change that was not seen after so long has been lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was changed, and seen to be.
pub(crate) struct Changes {
    pub(crate) endpoints: u64,
    pub(crate) routes: u64,
    pub(crate) certificates: u64,
    /// From a write until a request is routed by it, in microseconds.
    pub(crate) seen: Histogram<u64>,
    /// Changes that were not seen at all.
    pub(crate) lost: u64,
    pub(crate) lasted: Duration,
}

/// Changes things until it is told to stop.
pub(crate) fn run(site: &Site, stop: &AtomicBool) -> Changes {
    let mut changes = Changes {
        endpoints: 0,
        routes: 0,
        certificates: 0,
        seen: microseconds(),
        lost: 0,
        lasted: Duration::ZERO,
    };
    let started = Instant::now();
    let pods = site.pods();
    let mut random = fastrand::Rng::with_seed(1);
    let mut visitors = BTreeSet::new();
    let mut due = Instant::now();
    for turn in 1.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        if turn % CERTIFICATE_EVERY == 0 {
            site.objects.rotate();
            changes.certificates += 1;
        }
        if turn % SEEN_EVERY == 0 {
            changes.routes += 1;
            match see(site, turn) {
                Some(seen) => changes
                    .seen
                    .saturating_record(seen.as_micros().try_into().unwrap_or(u64::MAX)),
                None => changes.lost += 1,
            }
        } else if turn % 2 == 0 {
            changes.endpoints += 1;
            replace(site, &pods, &mut random);
        } else if turn % 4 == 1 {
            changes.routes += 1;
            site.objects
                .route(random.choice(SERVICES).expect("two"), random.usize(..30));
        } else {
            changes.routes += 1;
            visit(site, &mut visitors, random.usize(..VISITORS));
        }
        // Not made up for: a busy machine is not to be met by a burst.
        due = (due + PERIOD).max(Instant::now());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    changes.lasted = started.elapsed();
    changes
}

/// Other endpoints for one of the Services: at least two are ready, and some of the others end.
fn replace(site: &Site, pods: &[Arc<Pod>], random: &mut fastrand::Rng) {
    let mut pods = pods.to_vec();
    random.shuffle(&mut pods);
    let (ready, others) = pods.split_at(random.usize(2..=pods.len()));
    let ending = &others[..random.usize(..=others.len())];
    let service = random.choice(SERVICES).expect("two");
    site.objects.serve(service, ready, ending);
}

/// An Ingress comes with its Service, or goes.
fn visit(site: &Site, visitors: &mut BTreeSet<usize>, number: usize) {
    let name = format!("visitor-{number}");
    if visitors.remove(&number) {
        for kind in ["Ingress", "Service"] {
            assert!(
                site.objects.server.delete(kind, "default", &name),
                "{kind} {name}"
            );
        }
        return;
    }
    visitors.insert(number);
    let host = format!("{name}.example");
    let visitor = ingress(&name).class("fairway");
    site.objects
        .apply(objects::service(&name).headless().tcp("http", 80));
    site.objects.apply(visitor.prefix(&host, "/", &name, 80));
}

/// Adds a path and waits until it is served; None when it never is.
fn see(site: &Site, turn: u64) -> Option<Duration> {
    let path = format!("/{turn}");
    let probe = ingress("probe").class("fairway");
    let written = Instant::now();
    site.objects
        .apply(probe.exact("probe.example", &path, SERVICES[0], 80));
    while written.elapsed() < PATIENCE {
        let asked = ask::http_get(site.client(), site.http(), "probe.example", &path);
        if asked.is_ok_and(|response| response.status == 200) {
            return Some(written.elapsed());
        }
    }
    None
}
