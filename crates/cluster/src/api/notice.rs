use std::fmt;
use std::time::Duration;

use super::reason::Verb;

/// What a watcher asks for, in RBAC's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// Empty for the core group.
    pub(super) group: String,
    /// Plural and lower-case, for example `endpointslices`.
    pub(super) plural: String,
}

impl Resource {
    pub(super) fn of<K: kube::Resource<DynamicType = ()>>() -> Self {
        Self {
            group: K::group(&()).into_owned(),
            plural: K::plural(&()).into_owned(),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// News about the API server, each said once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Unreachable(String),
    Credentials(String),
    /// Answers again.
    Back(Duration),
    Forbidden(Resource, Verb),
    Refused(Resource, Verb, String),
    /// One kind is served again.
    Served(Resource),
    /// An optional kind is not served.
    Absent(Resource),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => write!(
                f,
                "cannot reach the API server: {reason}; keeping the last state, retrying"
            ),
            Self::Credentials(reason) => write!(
                f,
                "the API server does not accept our credentials: {reason}; check the token or \
                 certificate of the kubeconfig or service account; keeping the last state, retrying"
            ),
            Self::Back(away) => write!(f, "the API server answers again after {away:.0?}"),
            Self::Forbidden(resource, verb) => write!(
                f,
                "not allowed to {verb} {resource}: fairway's ClusterRole needs the rule \
                 {{apiGroups: [\"{}\"], resources: [\"{}\"], verbs: [\"list\", \"watch\"]}}; retrying",
                resource.group, resource.plural
            ),
            Self::Refused(resource, verb, reason) => write!(
                f,
                "the API server refuses to {verb} {resource}: {reason}; keeping the last state, retrying"
            ),
            Self::Served(resource) => write!(f, "the API server serves {resource} again"),
            Self::Absent(resource) => write!(
                f,
                "the API server does not have {resource}; going on without"
            ),
        }
    }
}

impl Notice {
    /// The kind that it is about, if it is about one.
    pub(super) fn resource(&self) -> Option<&Resource> {
        match self {
            Self::Forbidden(resource, _)
            | Self::Refused(resource, ..)
            | Self::Served(resource)
            | Self::Absent(resource) => Some(resource),
            Self::Unreachable(_) | Self::Credentials(_) | Self::Back(_) => None,
        }
    }

    pub(super) fn log(&self) {
        match self {
            Self::Back(_) | Self::Served(_) => tracing::info!("{self}"),
            Self::Absent(_) => tracing::debug!("{self}"),
            _ => tracing::warn!("{self}"),
        }
    }
}
