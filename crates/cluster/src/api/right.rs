use kube::Client;
use kube::api::{PostParams, Request};
use serde_json::{Value, json};

/// A right to write. None is needed to serve: each is a courtesy to those who look at objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Agents settle by a Lease which of them speaks of Ingresses.
    Lease,
    /// What is wrong with an object is told by Events.
    Events,
    /// Where an Ingress is reached stands in its status.
    IngressStatus,
}

impl Right {
    /// In RBAC's words, as all that follow.
    pub fn group(self) -> &'static str {
        match self {
            Self::Lease => "coordination.k8s.io",
            Self::Events => "events.k8s.io",
            Self::IngressStatus => "networking.k8s.io",
        }
    }

    /// Plural and lower-case, with the subresource.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Lease => "leases",
            Self::Events => "events",
            Self::IngressStatus => "ingresses/status",
        }
    }

    /// Resource and group.
    pub fn full_name(self) -> &'static str {
        match self {
            Self::Lease => "leases.coordination.k8s.io",
            Self::Events => "events.events.k8s.io",
            Self::IngressStatus => "ingresses.networking.k8s.io/status",
        }
    }

    /// All of them are needed.
    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Lease => &["get", "create", "update"],
            Self::Events => &["create"],
            Self::IngressStatus => &["patch"],
        }
    }

    /// What does not work without, as the rest of a sentence.
    pub fn without(self) -> &'static str {
        match self {
            Self::Lease => {
                "Ingresses get neither status nor Events from this agent; all else works"
            }
            Self::Events => "no Event tells what is wrong with an object; all else works",
            Self::IngressStatus => "Ingresses do not say where they are reached; all else works",
        }
    }

    /// What is missing, which rule it takes, and what follows.
    pub(super) fn refusal(self) -> String {
        let verbs = self.verbs();
        format!(
            "not allowed to {} {}: fairway's {} needs the rule {{apiGroups: [\"{}\"], resources: [\"{}\"], verbs: \
             {verbs:?}}}; {}; trying again",
            verbs.join(", "),
            self.full_name(),
            match self {
                // It is in the agent's own namespace.
                Self::Lease => "Role",
                Self::Events | Self::IngressStatus => "ClusterRole",
            },
            self.group(),
            self.resource(),
            self.without(),
        )
    }
}

/// Whether it is a right that lacks. What admission refuses also has status 403, but is about one object:
/// an Event in a namespace that is going away, or what a webhook does not like.
pub(crate) fn is_denied(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    // In the words of every authorizer: the API server itself puts them together.
    status.code == 403 && status.message.contains("forbidden: User \"")
}

/// Asks the API server, without writing anything, which verbs of a right it denies. None where it does not say.
pub async fn denied_verbs(client: &Client, right: Right) -> Option<Vec<&'static str>> {
    let (resource, subresource) = match right.resource().split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (right.resource(), None),
    };
    let namespace = (right == Right::Lease).then(|| client.default_namespace());
    let mut denied = Vec::new();
    for verb in right.verbs() {
        // By hand: this one question is not worth the code of its types.
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "group": right.group(), "resource": resource, "subresource": subresource, "verb": verb,
                "namespace": namespace,
            }},
        });
        let request = Request::new("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .create(&PostParams::default(), review.to_string().into_bytes());
        let answer: Value = client.request(request.ok()?).await.ok()?;
        if !answer["status"]["allowed"].as_bool()? {
            denied.push(*verb);
        }
    }
    Some(denied)
}
