use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::{
    Action, Backend, BackendPort, CertificateChoice, HostPattern, ObjectName, ObjectRef,
    RequestMatch, RequestPolicy, Rule, RuleId, SecretRef, TlsPolicy, UpstreamPolicy,
};
use k8s_openapi::api::networking::v1 as api;

use super::host::{covers, host};
use super::ignored;
use super::path::{PathError, path};
use super::{created, port};
use crate::index::Interner;
use crate::problem::{Problem, Quoted, Reason, Report};

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// What one Ingress asks for, host by host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ingress {
    pub(crate) created: i64,
    pub(crate) class: Class,
    /// Every host it has a rule for, sorted; [`HostPattern::Any`] also when it has no rules at all.
    hosts: Box<[(HostPattern, HostPart)]>,
    /// Answers what no rule of its hosts matches.
    pub(crate) default: Option<Rule>,
    /// What is wrong with it by itself.
    pub(crate) problems: Vec<Problem>,
}

/// How an Ingress names its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// `spec.ingressClassName`, which hides the annotation.
    Field(Arc<str>),
    /// The legacy annotation.
    Annotation(Arc<str>),
    None,
}

/// What an Ingress asks for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostPart {
    pub(crate) rules: Vec<Rule>,
    pub(crate) tls: Option<Arc<TlsPolicy>>,
}

impl Ingress {
    /// Every host it has a rule for.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HostPattern> {
        self.hosts.iter().map(|(host, _)| host)
    }

    /// What it asks for a host.
    pub(crate) fn host(&self, host: &HostPattern) -> Option<&HostPart> {
        let found = self.hosts.binary_search_by(|(other, _)| other.cmp(host));
        found.ok().map(|at| &self.hosts[at].1)
    }

    /// Every backend it names and the field that does.
    pub(crate) fn backends(&self) -> impl Iterator<Item = (&RuleId, &Backend)> {
        let rules = self.hosts.iter().flat_map(|(_, part)| &part.rules);
        let rules = rules.chain(&self.default);
        rules.flat_map(|rule| backends(rule).map(|backend| (&rule.id, backend)))
    }

    /// The Secrets that it names, some more than once.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &ObjectName> {
        let policies = self.hosts.iter().flat_map(|(_, part)| &part.tls);
        policies
            .flat_map(|tls| tls.secrets())
            .map(|SecretRef(name)| name)
    }

    /// Where requests go that none of its rules matches.
    pub(crate) fn default_backends(&self) -> impl Iterator<Item = &Backend> {
        self.default.iter().flat_map(backends)
    }
}

fn backends(rule: &Rule) -> impl Iterator<Item = &Backend> {
    let backends = match &rule.action {
        Action::Forward(backends) => backends.as_slice(),
        _ => &[],
    };
    backends.iter()
}

/// Converts an Ingress of whatever class. None for one that is being deleted: its backends are
/// going away with it, so it must not keep a host from others.
pub(crate) fn ingress(
    object: &api::Ingress,
    name: &ObjectName,
    names: &mut Interner,
) -> Option<Ingress> {
    if object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let empty = api::IngressSpec::default();
    let spec = object.spec.as_ref().unwrap_or(&empty);
    let mut convert = Convert {
        name,
        names,
        report: Report::new("Ingress", name.clone()),
        policy: Arc::default(),
        requests: Arc::default(),
    };
    let default = convert.default_rule(spec);
    let mut hosts = convert.hosts(spec);
    convert.check_secret_names(spec);
    ignored::of_ingress(&object.metadata, &mut convert.report);
    for (host, part) in &mut hosts {
        part.tls = convert.tls(spec, host);
        part.rules.shrink_to_fit();
    }
    Some(Ingress {
        created: created(&object.metadata),
        class: class(object, convert.names),
        hosts: hosts.into_iter().collect(),
        default,
        problems: convert.report.finish(),
    })
}

pub(crate) fn class(object: &api::Ingress, names: &mut Interner) -> Class {
    let spec = object.spec.as_ref();
    let field = spec.and_then(|spec| spec.ingress_class_name.as_deref());
    if let Some(class) = field.filter(|class| !class.is_empty()) {
        return Class::Field(names.get(class));
    }
    let annotations = object.metadata.annotations.as_ref();
    match annotations.and_then(|annotations| annotations.get(CLASS_ANNOTATION)) {
        Some(class) if !class.is_empty() => Class::Annotation(names.get(class)),
        _ => Class::None,
    }
}

struct Convert<'a> {
    name: &'a ObjectName,
    names: &'a mut Interner,
    report: Report,
    policy: Arc<UpstreamPolicy>,
    requests: Arc<RequestPolicy>,
}

impl Convert<'_> {
    fn default_rule(&mut self, spec: &api::IngressSpec) -> Option<Rule> {
        let object = spec.default_backend.as_ref()?;
        match self.backend(object, "spec.defaultBackend") {
            Ok(backend) => {
                let action = Action::Forward(vec![backend]);
                Some(self.rule("spec.defaultBackend", RequestMatch::any(), action))
            }
            // It must not take a host from an Ingress whose default backend works.
            Err(_) => None,
        }
    }

    fn hosts(&mut self, spec: &api::IngressSpec) -> BTreeMap<HostPattern, HostPart> {
        let mut hosts: BTreeMap<HostPattern, HostPart> = BTreeMap::new();
        let rules = spec.rules.as_deref().unwrap_or_default();
        if rules.is_empty() && spec.default_backend.is_some() {
            hosts.insert(HostPattern::Any, HostPart::default());
        }
        for (at, rule) in rules.iter().enumerate() {
            let field = format!("spec.rules[{at}]");
            let text = rule.host.as_deref().unwrap_or_default();
            let pattern = match host(text, self.names) {
                Ok(pattern) => pattern,
                Err(why) => {
                    let message = format_args!("{} {why}; the rule is left out", Quoted(text));
                    self.report.invalid(format_args!("{field}.host"), message);
                    continue;
                }
            };
            // Without paths the host is still known: its other requests get the default backend.
            let part = hosts.entry(pattern).or_default();
            let paths = rule.http.as_ref().map_or(&[][..], |http| &http.paths);
            for (at, object) in paths.iter().enumerate() {
                part.rules
                    .extend(self.path(object, format!("{field}.http.paths[{at}]")));
            }
        }
        hosts
    }

    fn path(&mut self, object: &api::HTTPIngressPath, field: String) -> Option<Rule> {
        let text = object.path.as_deref().unwrap_or_default();
        let matched = match path(&object.path_type, text) {
            Ok(matched) => matched,
            Err(error) => {
                let (field, value, why) = match error {
                    PathError::Path(why) => (format!("{field}.path"), text, why),
                    PathError::Type => (
                        format!("{field}.pathType"),
                        object.path_type.as_str(),
                        "is none of Exact, Prefix and ImplementationSpecific",
                    ),
                };
                let message = format_args!("{} {why}; the path is left out", Quoted(value));
                self.report.invalid(field, message);
                return None;
            }
        };
        let action = match self.backend(&object.backend, &format!("{field}.backend")) {
            Ok(backend) => Action::Forward(vec![backend]),
            Err(status) => Action::Respond(status),
        };
        Some(self.rule(&field, RequestMatch::path(matched), action))
    }

    /// The backend, or the status that answers in its place: a path whose backend means nothing
    /// must not fall to a shorter path, which belongs to something else.
    fn backend(&mut self, object: &api::IngressBackend, field: &str) -> Result<Backend, u16> {
        let Some(service) = &object.service else {
            if let Some(resource) = &object.resource {
                self.report.add(
                    Reason::UnsupportedBackend,
                    format_args!("{field}.resource"),
                    format_args!(
                        "backends of kind {} are not supported, only Services; answered with 404",
                        Quoted(&resource.kind)
                    ),
                );
                return Err(404);
            }
            self.report
                .invalid(field, "names no Service; answered with 503");
            return Err(503);
        };
        if service.name.is_empty() || service.name.contains('/') {
            let message = "is not the name of a Service in the Ingress's own namespace";
            self.report.invalid(
                format_args!("{field}.service.name"),
                format_args!("{} {message}; answered with 503", Quoted(&service.name)),
            );
            return Err(503);
        }
        Ok(Backend {
            service: ObjectName {
                namespace: self.name.namespace.clone(),
                name: self.names.get(&service.name),
            },
            port: self.backend_port(service, field)?,
            weight: 1,
        })
    }

    fn backend_port(
        &mut self,
        service: &api::IngressServiceBackend,
        field: &str,
    ) -> Result<BackendPort, u16> {
        let object = service.port.as_ref();
        let name = object.and_then(|port| port.name.as_deref());
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            return Ok(BackendPort::Name(self.names.get(name)));
        }
        let number = object.and_then(|port| port.number).unwrap_or_default();
        port(number).map(BackendPort::Number).ok_or_else(|| {
            let field = format_args!("{field}.service.port");
            let message = "is not a port (1 to 65535) and there is no name; answered with 503";
            self.report
                .invalid(field, format_args!("{number} {message}"));
            503
        })
    }

    /// The first entry that lists the host decides. A certificate serves only hosts that the same
    /// Ingress has rules for, as in nginx: to list a host is not to own it.
    fn tls(&mut self, spec: &api::IngressSpec, host: &HostPattern) -> Option<Arc<TlsPolicy>> {
        let entries = || spec.tls.iter().flatten();
        let listing = entries().find(|entry| {
            let mut hosts = entry.hosts.iter().flatten();
            hosts.any(|listed| covers(listed, host))
        });
        let certificate = match listing {
            Some(entry) => match self.secret(entry) {
                Some(secret) => CertificateChoice::Secret([secret]),
                None => CertificateChoice::Default,
            },
            // No certificate is for every host.
            None if *host == HostPattern::Any => return None,
            None => {
                let secrets: Vec<_> = entries().filter_map(|entry| self.secret(entry)).collect();
                if secrets.is_empty() {
                    return None;
                }
                CertificateChoice::FirstThatCovers(secrets)
            }
        };
        Some(Arc::new(TlsPolicy::terminate(certificate)))
    }

    /// The Secret of an entry, which is always one of the Ingress's own namespace. A name that no Secret
    /// can have, such as one that tries to leave the namespace, was reported and is none.
    fn secret(&mut self, entry: &api::IngressTLS) -> Option<SecretRef> {
        let name = entry.secret_name.as_deref().filter(|name| is_name(name))?;
        Some(SecretRef(ObjectName {
            namespace: self.name.namespace.clone(),
            name: self.names.get(name),
        }))
    }

    fn check_secret_names(&mut self, spec: &api::IngressSpec) {
        for (at, entry) in spec.tls.iter().flatten().enumerate() {
            let name = entry.secret_name.as_deref().unwrap_or_default();
            if !name.is_empty() && !is_name(name) {
                self.report.invalid(
                    format_args!("spec.tls[{at}].secretName"),
                    format_args!(
                        "{} is not the name of a Secret in the Ingress's own namespace; its hosts get the default certificate",
                        Quoted(name)
                    ),
                );
            }
        }
    }

    fn rule(&self, field: &str, matches: RequestMatch, action: Action) -> Rule {
        Rule {
            id: RuleId {
                object: ObjectRef {
                    kind: "Ingress",
                    name: self.name.clone(),
                },
                field: field.into(),
            },
            matches,
            filters: Vec::new(),
            action,
            policy: self.policy.clone(),
            requests: self.requests.clone(),
        }
    }
}

/// Whether an object can have this name (RFC 1123 subdomain). It becomes part of a request to the API
/// server, so nothing else may get through.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        bytes.first().is_some_and(inner)
            && bytes.last().is_some_and(inner)
            && bytes.iter().all(|byte| inner(byte) || *byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests;
