//! Backends that cannot answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use fairway_model::{
    Action, Backend, BackendPort, HostPattern, HostRoutes, ObjectName, ServiceKind, ServiceMap,
};

use super::{insert_into, remove_from};
use crate::convert::ingress::Ingress;
use crate::index::problems::{Aspect, Problems};
use crate::index::services::has_usable_endpoints;
use crate::problem::{Problem, Quoted, Reason, Report};

/// What is wrong with the backends that an Ingress names.
pub(super) fn missing(name: &ObjectName, ingress: &Ingress, services: &ServiceMap) -> Vec<Problem> {
    let mut report = Report::new("Ingress", name.clone());
    for (id, backend) in ingress.backends() {
        let field = match &*id.field {
            "spec.defaultBackend" => format!("{}.service", id.field),
            path => format!("{path}.backend.service"),
        };
        let fields = Fields {
            name: &format_args!("{field}.name"),
            port: &format_args!("{field}.port"),
        };
        check(&mut report, &fields, backend, services, "");
    }
    report.finish()
}

/// What is wrong with the backend that the configuration names.
pub(super) fn missing_default(backend: &Backend, services: &ServiceMap) -> Vec<Problem> {
    let mut report = Report::new("Service", backend.service.clone());
    let flag = "--default-backend-service";
    let fields = Fields {
        name: &flag,
        port: &flag,
    };
    check(&mut report, &fields, backend, services, "");
    report.finish()
}

/// Backends of routes, by Service: most have one port.
pub(super) type Named = HashMap<ObjectName, Vec<BackendPort>>;

/// The backends that the routes of a host have.
pub(super) fn named(routes: &HostRoutes) -> Named {
    let mut named = Named::new();
    for rule in routes.rules.iter().chain(&routes.default) {
        let Action::Forward(backends) = &rule.action else {
            continue;
        };
        for backend in backends {
            let ports = named.entry(backend.service.clone()).or_default();
            if !ports.contains(&backend.port) {
                ports.push(backend.port.clone());
            }
        }
    }
    named
}

/// Services that routes have by policy and no Ingress names, so that what happens to them concerns hosts.
#[derive(Debug, Default)]
pub(super) struct PolicyBackends {
    services: BTreeMap<HostPattern, BTreeSet<ObjectName>>,
    hosts: BTreeMap<ObjectName, Vec<HostPattern>>,
}

impl PolicyBackends {
    /// The hosts whose routes have this Service by policy.
    pub(super) fn hosts(&self, service: &ObjectName) -> impl Iterator<Item = &HostPattern> {
        self.hosts.get(service).into_iter().flatten()
    }

    /// The host has no routes any more.
    pub(super) fn forget(&mut self, host: &HostPattern, problems: &mut Problems) {
        self.set(host, BTreeSet::new(), problems, Vec::new());
    }

    /// Says what is wrong with the backends that the routes of a host have by policy: those that are not
    /// their own.
    pub(super) fn check(
        &mut self,
        host: &HostPattern,
        own: &Named,
        routes: &HostRoutes,
        services: &ServiceMap,
        problems: &mut Problems,
    ) {
        let mut named = BTreeSet::new();
        let mut reports = BTreeMap::new();
        for rule in routes.rules.iter().chain(&routes.default) {
            let Action::Forward(backends) = &rule.action else {
                continue;
            };
            for backend in backends {
                let ports = own.get(&backend.service);
                if ports.is_some_and(|ports| ports.contains(&backend.port)) {
                    continue;
                }
                named.insert(backend.service.clone());
                let name = &rule.id.object.name;
                let report = reports
                    .entry(name.clone())
                    .or_insert_with(|| Report::new("Ingress", name.clone()));
                let fields = Fields {
                    name: &rule.id.field,
                    port: &rule.id.field,
                };
                check(report, &fields, backend, services, ", a backend by policy,");
            }
        }
        let found = reports.into_values().flat_map(Report::finish).collect();
        self.set(host, named, problems, found);
    }

    fn set(
        &mut self,
        host: &HostPattern,
        named: BTreeSet<ObjectName>,
        problems: &mut Problems,
        found: Vec<Problem>,
    ) {
        let before = match named.is_empty() {
            true => self.services.remove(host),
            false => self.services.insert(host.clone(), named.clone()),
        };
        let before = before.unwrap_or_default();
        for service in before.difference(&named) {
            remove_from(&mut self.hosts, service, host);
        }
        for service in named.difference(&before) {
            insert_into(&mut self.hosts, service, host.clone());
        }
        if !before.is_empty() || !named.is_empty() {
            problems.set(Aspect::PolicyBackends(host.clone()), found);
        }
    }
}

/// What an operator has to look at.
struct Fields<'a> {
    name: &'a dyn fmt::Display,
    port: &'a dyn fmt::Display,
}

fn check(
    report: &mut Report,
    fields: &Fields<'_>,
    backend: &Backend,
    services: &ServiceMap,
    why: &str,
) {
    let service = backend.service.to_string();
    let service_quoted = Quoted(&service);
    match services.get(&backend.service) {
        None => report.add(
            Reason::BackendNotFound,
            fields.name,
            format_args!(
                "Service {service_quoted}{why} does not exist; answered with 503 until it does"
            ),
        ),
        Some(service) if !service.has_port(&backend.port) => report.add(
            Reason::BackendPortNotFound,
            fields.port,
            format_args!(
                "Service {service_quoted}{why} has no port {}; answered with 503",
                Quoted(&backend.port.to_string())
            ),
        ),
        Some(service) => {
            let port = service.port(&backend.port);
            let answers = port.is_none_or(has_usable_endpoints);
            if !answers && !matches!(service.kind, ServiceKind::ExternalName(_)) {
                report.add(
                    Reason::NoEndpoints,
                    fields.name,
                    format_args!(
                        "no pod behind Service {service_quoted}{why} is ready; answered with 503 until one is"
                    ),
                );
            }
        }
    }
}
