//! What the status page tells, put together when somebody looks at it.

use std::sync::Arc;
use std::time::SystemTime;

use fairway_admin::{
    Judgement, MOST_PROBLEMS, ObjectNameText, ReportedProblem, RouteTraffic, ShownCertificate,
    Status,
};
use fairway_cluster::{Problem, Trouble};
use fairway_model::{Node, Service, ServicePort, Snapshot};
use fairway_proxy::Metrics;

use super::certificate_metrics::CertificateMetrics;
use crate::config::Config;
use crate::kernel::Kernel;

// The page draws what the router counts.
const _: () = {
    let (ours, theirs) = (
        Status::LATENCY_BOUNDS_MS,
        fairway_proxy::RouteTraffic::BOUNDS_MS,
    );
    let mut at = 0;
    while at < ours.len() {
        assert!(ours[at] == theirs[at]);
        at += 1;
    }
};

/// Tells what there is to tell.
pub(super) struct Teller {
    since: SystemTime,
    /// None without a router.
    router: Option<Metrics>,
    certificates: CertificateMetrics,
}

impl Teller {
    pub(super) fn new(router: Option<Metrics>, certificates: CertificateMetrics) -> Self {
        Self {
            since: SystemTime::now(),
            router,
            certificates,
        }
    }

    /// With `unserved`, what this node finds wrong beside what is wrong with the objects themselves.
    pub(super) fn tell<'a>(
        &mut self,
        snapshot: &Arc<Snapshot>,
        problems: impl Iterator<Item = &'a Problem>,
        unserved: Vec<ReportedProblem>,
    ) -> Status {
        let mut problem_count = unserved.len();
        let mut told = unserved;
        told.truncate(MOST_PROBLEMS);
        for problem in problems {
            problem_count += 1;
            if told.len() < MOST_PROBLEMS {
                told.push(ReportedProblem {
                    object: problem.object.to_string(),
                    field: problem.field.clone(),
                    reason: problem.reason.as_str(),
                    message: problem.message.clone(),
                });
            }
        }
        let traffic = self.router.as_ref().map(Metrics::traffic);
        let traffic = traffic.into_iter().flatten();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            at: SystemTime::now(),
            since: self.since,
            snapshot: snapshot.clone(),
            judge,
            certificates: self.shown(),
            problems: told,
            problem_count,
            traffic: traffic.map(of_route).collect(),
        }
    }

    fn shown(&self) -> Vec<ShownCertificate> {
        let shown = self.certificates.shown();
        let default = shown.default.iter().map(|shows| (None, shows));
        let hosts = shown.hosts.iter();
        let hosts = hosts.map(|(host, shows)| (Some(host.to_string()), shows));
        let all = default.chain(hosts).map(|(host, shows)| ShownCertificate {
            host,
            secret: shows.secret.clone(),
            not_after: shows.not_after,
        });
        all.collect()
    }
}

/// As `fairway explain` tells it.
fn judge(service: &Service, port: &ServicePort, node: &Node) -> Vec<Judgement> {
    let told = fairway_explain::endpoints_of_port(service, port, node);
    let judged = told.into_iter().map(|endpoint| Judgement {
        used: endpoint.used,
        why: endpoint.why,
    });
    judged.collect()
}

/// What the API server does not let us have, beside what is wrong with objects.
pub(super) fn of_source(troubles: Vec<Trouble>) -> Vec<ReportedProblem> {
    let of_one = |trouble: Trouble| ReportedProblem {
        object: "API server".to_owned(),
        field: trouble.resource.unwrap_or_default(),
        reason: trouble.reason,
        message: trouble.message,
    };
    troubles.into_iter().map(of_one).collect()
}

/// Kernel settings that are not as they should be: the agent may be without the right to write them.
pub(super) fn of_kernel(config: &Config, node: &Node) -> Vec<ReportedProblem> {
    let unmet = Kernel::default().unmet(config, &node.addresses);
    let unmet = unmet.into_iter().map(|unmet| ReportedProblem {
        object: format!("Node {}", config.node_name),
        field: unmet.path.display().to_string(),
        reason: "KernelSetting",
        message: unmet.message,
    });
    unmet.collect()
}

fn of_route(route: fairway_proxy::RouteTraffic) -> RouteTraffic {
    RouteTraffic {
        host: route.host,
        path: route.path,
        ingress: ObjectNameText {
            namespace: route.namespace,
            name: route.ingress,
        },
        requests: route.requests,
        client_errors: route.client_errors,
        server_errors: route.server_errors,
        in_flight: route.in_flight,
        latencies: route.durations,
    }
}
