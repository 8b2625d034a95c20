//! The series of declared objects: which there are, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairway_model::{Action, HostPattern, HostRoutes, Rule};

use super::Count;
use super::histogram::{DURATIONS, Durations};
use super::outcome::{Finished, Outcomes};

/// What the labels say of routes beyond the limit.
const OTHER: &str = "other";

/// What requests are counted by. Empty for requests that met no route.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteLabels {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) namespace: String,
    pub(crate) ingress: String,
    pub(crate) service: String,
    pub(crate) port: String,
}

impl RouteLabels {
    fn other() -> Self {
        Self {
            host: OTHER.to_owned(),
            path: OTHER.to_owned(),
            namespace: OTHER.to_owned(),
            ingress: OTHER.to_owned(),
            service: OTHER.to_owned(),
            port: OTHER.to_owned(),
        }
    }

    /// Those of all backends of a rule.
    fn of_rule(host: &HostPattern, rule: &Rule) -> Vec<Self> {
        let labels = Self {
            host: host.to_string(),
            path: rule.matches.path.as_str().to_string(),
            namespace: rule.id.object.name.namespace.to_string(),
            ingress: rule.id.object.name.name.to_string(),
            ..Self::default()
        };
        match &rule.action {
            Action::Forward(backends) => backends
                .iter()
                .map(|backend| Self {
                    service: backend.service.name.to_string(),
                    port: backend.port.to_string(),
                    ..labels.clone()
                })
                // Where all have weight 0, nobody is asked.
                .chain([labels.clone()])
                .collect(),
            Action::Redirect(_) | Action::Respond(_) => vec![labels],
        }
    }

    fn upstream(&self) -> Option<UpstreamLabels> {
        (!self.service.is_empty()).then(|| UpstreamLabels {
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            port: self.port.clone(),
        })
    }
}

/// What attempts at endpoints are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UpstreamLabels {
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) port: String,
}

/// The counters of one route and backend in one worker.
#[derive(Debug)]
pub(crate) struct RouteSeries {
    pub(crate) labels: Arc<RouteLabels>,
    pub(crate) upstream: Option<Arc<UpstreamSeries>>,
    started: Count,
    finished: Count,
    pub(super) outcomes: Outcomes,
    /// The route is declared no more.
    retired: AtomicBool,
}

impl RouteSeries {
    fn new(labels: Arc<RouteLabels>, upstream: Option<Arc<UpstreamSeries>>) -> Self {
        Self {
            labels,
            upstream,
            started: Count::default(),
            finished: Count::default(),
            outcomes: Outcomes::default(),
            retired: AtomicBool::new(false),
        }
    }

    /// A request came to be one of the route's.
    pub(crate) fn start(&self) {
        self.started.add(1);
    }

    /// A request turned out to be another route's.
    pub(crate) fn leave(&self) {
        self.finished.add(1);
    }

    /// A request is over.
    pub(crate) fn finish(&self, finished: &Finished) {
        self.finished.add(1);
        self.outcomes.add(finished);
    }

    /// What nobody counts any more: nothing of it is in flight, however it ended.
    fn fold(&self, ended: &Self) {
        let started = ended.started.get();
        self.started.add(started);
        self.finished.add(started);
        self.outcomes.fold(&ended.outcomes);
    }

    pub(super) fn in_flight(&self) -> u64 {
        // In this order, so that a request that starts meanwhile is not counted as -1.
        let finished = self.finished.get();
        self.started.get().saturating_sub(finished)
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

/// The counters of one Service port in one worker.
#[derive(Debug)]
pub(crate) struct UpstreamSeries {
    pub(crate) labels: UpstreamLabels,
    /// Endpoints tried, the first of each request included.
    pub(crate) tries: Count,
    pub(crate) connect_failures: Count,
    /// Of new connections.
    pub(crate) connect: Durations,
    /// Until the head of the answer.
    pub(crate) head: Durations,
}

impl UpstreamSeries {
    fn new(labels: UpstreamLabels) -> Self {
        Self {
            labels,
            tries: Count::default(),
            connect_failures: Count::default(),
            connect: Durations::new(DURATIONS),
            head: Durations::new(DURATIONS),
        }
    }

    fn fold(&self, ended: &Self) {
        self.tries.add(ended.tries.get());
        self.connect_failures.add(ended.connect_failures.get());
        self.connect.fold(&ended.connect);
        self.head.fold(&ended.head);
    }
}

/// The routes that are told apart, in all workers.
#[derive(Debug)]
pub(super) struct Known {
    most: AtomicUsize,
    labels: Mutex<BTreeSet<Arc<RouteLabels>>>,
}

impl Known {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: AtomicUsize::new(most),
            labels: Mutex::default(),
        }
    }

    /// Those that are told apart already stay so.
    pub(super) fn limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// The labels under which a route is counted.
    fn admit(&self, labels: RouteLabels) -> Arc<RouteLabels> {
        let mut known = lock(&self.labels);
        if let Some(labels) = known.get(&labels) {
            return labels.clone();
        }
        // What has no route is no route.
        if known.len() >= self.most.load(Ordering::Relaxed) && labels != RouteLabels::default() {
            return Arc::new(RouteLabels::other());
        }
        let labels = Arc::new(labels);
        if *labels != RouteLabels::default() {
            known.insert(labels.clone());
        }
        labels
    }

    /// Keeps of a host's only what is declared; returns the others.
    pub(super) fn retain(
        &self,
        host: &HostPattern,
        routes: Option<&HostRoutes>,
    ) -> Vec<Arc<RouteLabels>> {
        let rules = routes.into_iter().flat_map(|routes| {
            let rules = routes.rules.iter().chain(&routes.default);
            rules.flat_map(|rule| RouteLabels::of_rule(host, rule))
        });
        let declared: BTreeSet<RouteLabels> = rules.collect();
        let first = RouteLabels {
            host: host.to_string(),
            ..RouteLabels::default()
        };
        let mut known = lock(&self.labels);
        let gone: Vec<_> = known
            .range::<RouteLabels, _>(&first..)
            .take_while(|labels| labels.host == first.host)
            .filter(|labels| !declared.contains(&***labels))
            .cloned()
            .collect();
        for labels in &gone {
            known.remove(labels);
        }
        gone
    }
}

/// The series of one worker. Locked when a route is met for the first time, when routes are deleted and,
/// briefly, by a scrape.
#[derive(Debug)]
pub(super) struct Series {
    known: Arc<Known>,
    routes: Mutex<BTreeMap<Arc<RouteLabels>, Arc<RouteSeries>>>,
    upstreams: Mutex<BTreeMap<UpstreamLabels, Arc<UpstreamSeries>>>,
}

impl Series {
    pub(super) fn new(known: Arc<Known>) -> Self {
        Self {
            known,
            routes: Mutex::default(),
            upstreams: Mutex::default(),
        }
    }

    /// The series of a route, the same for every route with these labels.
    pub(super) fn route(&self, labels: RouteLabels) -> Arc<RouteSeries> {
        self.admitted(self.known.admit(labels))
    }

    /// Adds what another worker has counted, which has ended.
    pub(super) fn fold(&self, ended: &Self) {
        // Routes first: upstreams are forgotten where no route leads to them.
        for series in ended.routes() {
            self.admitted(series.labels.clone()).fold(&series);
        }
        for series in ended.upstreams() {
            self.upstream(series.labels.clone()).fold(&series);
        }
    }

    fn admitted(&self, labels: Arc<RouteLabels>) -> Arc<RouteSeries> {
        let mut routes = lock(&self.routes);
        let series = routes.entry(labels).or_insert_with_key(|labels| {
            let upstream = labels.upstream().map(|labels| self.upstream(labels));
            Arc::new(RouteSeries::new(labels.clone(), upstream))
        });
        series.clone()
    }

    fn upstream(&self, labels: UpstreamLabels) -> Arc<UpstreamSeries> {
        let mut upstreams = lock(&self.upstreams);
        let series = upstreams
            .entry(labels)
            .or_insert_with_key(|labels| Arc::new(UpstreamSeries::new(labels.clone())));
        series.clone()
    }

    pub(super) fn remove(&self, gone: &[Arc<RouteLabels>]) {
        let mut routes = lock(&self.routes);
        for labels in gone {
            if let Some(series) = routes.remove(labels) {
                series.retired.store(true, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn routes(&self) -> Vec<Arc<RouteSeries>> {
        lock(&self.routes).values().cloned().collect()
    }

    /// Those that a route leads to; the others are forgotten.
    pub(super) fn upstreams(&self) -> Vec<Arc<UpstreamSeries>> {
        let mut upstreams = lock(&self.upstreams);
        upstreams.retain(|_, series| Arc::strong_count(series) > 1);
        upstreams.values().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
