use serde_json::{Value, json};

/// A kind of object that the server has.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Resource {
    /// Empty for the core group.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
    /// Has a status that is written through its own path.
    pub(super) status: bool,
    /// Fields that field selectors may name besides name and namespace.
    pub(super) fields: &'static [&'static str],
    short: &'static [&'static str],
}

const fn resource(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
) -> Resource {
    Resource {
        group,
        version: "v1",
        plural,
        kind,
        namespaced: true,
        status: false,
        fields: &[],
        short,
    }
}

impl Resource {
    const fn cluster_scoped(self) -> Self {
        Self {
            namespaced: false,
            ..self
        }
    }

    const fn with_status(self) -> Self {
        Self {
            status: true,
            ..self
        }
    }

    const fn selectable(self, fields: &'static [&'static str]) -> Self {
        Self { fields, ..self }
    }
}

const NETWORKING: &str = "networking.k8s.io";

static RESOURCES: [Resource; 14] = [
    resource("", "configmaps", "ConfigMap", &["cm"]),
    resource("", "events", "Event", &["ev"]).selectable(&[
        "involvedObject.kind",
        "involvedObject.name",
        "reason",
        "type",
    ]),
    resource("", "namespaces", "Namespace", &["ns"])
        .cluster_scoped()
        .with_status(),
    resource("", "nodes", "Node", &["no"])
        .cluster_scoped()
        .with_status()
        .selectable(&["spec.unschedulable"]),
    resource("", "pods", "Pod", &["po"])
        .with_status()
        .selectable(&["spec.nodeName", "status.phase"]),
    resource("", "secrets", "Secret", &[]).selectable(&["type"]),
    resource("", "services", "Service", &["svc"])
        .with_status()
        .selectable(&["spec.clusterIP", "spec.type"]),
    resource("coordination.k8s.io", "leases", "Lease", &[]),
    resource("discovery.k8s.io", "endpointslices", "EndpointSlice", &[]),
    resource("events.k8s.io", "events", "Event", &[]),
    resource(NETWORKING, "ingressclasses", "IngressClass", &[]).cluster_scoped(),
    resource(NETWORKING, "ingresses", "Ingress", &["ing"]).with_status(),
    resource(NETWORKING, "ipaddresses", "IPAddress", &["ip"]).cluster_scoped(),
    resource(NETWORKING, "servicecidrs", "ServiceCIDR", &[])
        .cluster_scoped()
        .with_status(),
];

impl Resource {
    pub(super) fn by_path(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        RESOURCES
            .iter()
            .find(|r| r.group == group && r.version == version && r.plural == plural)
    }

    /// By `apiVersion` and `kind` of an object.
    pub(super) fn of(object: &Value) -> Option<&'static Self> {
        let (api_version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
        RESOURCES
            .iter()
            .find(|r| r.kind == kind && r.api_version() == api_version)
    }

    /// Whether it is the newer of the two APIs for Events.
    pub(super) fn is_event(&self) -> bool {
        self.group == "events.k8s.io"
    }

    /// By kind alone; where two groups have it, the older one.
    pub(super) fn by_kind(kind: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|r| r.kind == kind)
    }

    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }
}

/// What clients ask first: which kinds there are.
pub(super) fn discovery(segments: &[&str]) -> Option<Value> {
    Some(match segments {
        ["version"] => json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2025-04-23T13:00:00Z", "goVersion": "none", "compiler": "none", "platform": "linux/amd64",
        }),
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => {
            let mut groups: Vec<&str> = RESOURCES.iter().map(|r| r.group).collect();
            groups.dedup();
            groups.retain(|group| !group.is_empty());
            json!({
                "kind": "APIGroupList", "apiVersion": "v1",
                "groups": groups.into_iter().map(group).collect::<Vec<_>>(),
            })
        }
        ["apis", name] if RESOURCES.iter().any(|r| r.group == *name) => group(name),
        ["api", version] => resources("", version)?,
        ["apis", group, version] => resources(group, version)?,
        _ => return None,
    })
}

fn group(name: &str) -> Value {
    let version = json!({ "groupVersion": format!("{name}/v1"), "version": "v1" });
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": name,
        "versions": [version], "preferredVersion": version,
    })
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let all = || {
        RESOURCES
            .iter()
            .filter(|r| r.group == group && r.version == version)
    };
    let first = all().next()?;
    let statuses = all().filter(|r| r.status).map(|r| {
        json!({
            "name": format!("{}/status", r.plural), "kind": r.kind, "namespaced": r.namespaced,
            "singularName": "", "verbs": ["get", "patch", "update"],
        })
    });
    let list: Vec<Value> = all()
        .map(|r| {
            json!({
                "name": r.plural, "kind": r.kind, "namespaced": r.namespaced,
                "singularName": r.kind.to_lowercase(), "shortNames": r.short,
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            })
        })
        .chain(statuses)
        .collect();
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": first.api_version(), "resources": list,
    }))
}
