//! What an explanation may need to know, from whoever has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_cluster::{Certificate, Certificates, Cluster, HostCertificates, Problem, Still};
use fairway_explain::{CertificateFacts, HostTls, Notice, Question, Routing, World};
use fairway_model::{HostPattern, IngressClaim, ObjectName, Snapshot};
use fairway_router::Index;

use crate::config::Config;

/// The objects of a cluster.
pub(crate) trait Objects {
    fn snapshot(&self) -> &Arc<Snapshot>;
    fn certificates(&self) -> &Certificates;
    fn problems(&self) -> Vec<Problem>;
    fn claims_on(&self, hosts: &[HostPattern]) -> Vec<IngressClaim>;
}

/// A cluster that is followed, at this moment.
pub(crate) struct Now<'a> {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) cluster: &'a Cluster,
}

impl Objects for Now<'_> {
    fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    fn certificates(&self) -> &Certificates {
        self.cluster.certificates()
    }

    fn problems(&self) -> Vec<Problem> {
        self.cluster.problems().cloned().collect()
    }

    fn claims_on(&self, hosts: &[HostPattern]) -> Vec<IngressClaim> {
        self.cluster.claims_on(hosts)
    }
}

impl Objects for Still {
    fn snapshot(&self) -> &Arc<Snapshot> {
        self.snapshot()
    }

    fn certificates(&self) -> &Certificates {
        self.certificates()
    }

    fn problems(&self) -> Vec<Problem> {
        self.problems().cloned().collect()
    }

    fn claims_on(&self, hosts: &[HostPattern]) -> Vec<IngressClaim> {
        self.claims_on(hosts)
    }
}

/// Everything but what the kernel knows. Without an index no requests are routed.
pub(crate) fn gather(
    config: &Config,
    question: &Question,
    objects: &dyn Objects,
    index: Option<Arc<Index>>,
) -> World {
    let hosts = question.host_patterns();
    let ingress = index.filter(|_| config.ingress).map(|index| Routing {
        index,
        http: config.router.http_addresses.clone(),
        https: config.router.https_addresses.clone(),
        redirects: config.router.redirects(),
        tls: tls(objects, &hosts),
        default_certificate: objects
            .certificates()
            .default_secret()
            .map(|(secret, certificate)| facts(secret, certificate)),
    });
    World {
        snapshot: objects.snapshot().clone(),
        service_proxy: config.service_proxy.then(|| config.rules.plan_options()),
        ingress,
        claims: objects.claims_on(&hosts),
        problems: objects.problems().iter().map(notice).collect(),
        interfaces: Vec::new(),
        kernel: None,
    }
}

fn tls(objects: &dyn Objects, hosts: &[HostPattern]) -> BTreeMap<HostPattern, HostTls> {
    let certificates = objects.certificates();
    let routes = &objects.snapshot().routes.hosts;
    let of_host = |host: &HostPattern| {
        let policy = routes.get(host)?.tls.as_ref()?;
        let shown = certificates.shown(host, policy);
        let tls = HostTls {
            certificate: shown.map(|(secret, certificate)| facts(secret, certificate)),
            refuses: matches!(certificates.resolve(host, policy), HostCertificates::Refuse),
            wants_https: certificates.wants_https(host, policy),
        };
        Some((host.clone(), tls))
    };
    hosts.iter().filter_map(of_host).collect()
}

fn facts(secret: &ObjectName, certificate: &Certificate) -> CertificateFacts {
    CertificateFacts {
        secret: secret.to_string(),
        names: certificate.names.clone(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
    }
}

/// A problem as explanations tell it.
pub(crate) fn notice(problem: &Problem) -> Notice {
    Notice {
        object: problem.object.to_string(),
        field: problem.field.clone(),
        reason: problem.reason.as_str().to_owned(),
        message: problem.message.clone(),
    }
}
