//! `policies` of a `FairwayConfiguration`: what is set for routes beside what Ingresses say.
//!
//! Each is read strictly and by itself: one that cannot be meant so is told and left out.

mod balancing;
mod resilience;
mod text;
mod upstream;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use fairway_model::{
    HostPattern, ObjectName, RoutePolicies, RoutePolicy, RouteSelector, RouteSettings,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::upstream::UpstreamDocument;
use super::file::{decode_field, drop_null};

/// The list as it was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyList {
    pub(super) policies: Vec<Value>,
}

impl PolicyList {
    /// The policies that can be used; of the others, which field is wrong and how.
    pub(super) fn parse(&self) -> (RoutePolicies, Vec<String>) {
        let (mut policies, mut problems) = (Vec::new(), Vec::new());
        for (at, content) in self.policies.iter().enumerate() {
            match parse(content) {
                Ok(policy) => policies.push(policy),
                Err((field, problem)) => {
                    let field = match field.as_str() {
                        "" | "." => String::new(),
                        field => format!(".{field}"),
                    };
                    problems.push(format!(
                        "policies[{at}]{field}: {problem}; this policy is left out"
                    ));
                }
            }
        }
        (RoutePolicies::new(policies), problems)
    }
}

/// An error is a field and what is wrong with it.
fn parse(content: &Value) -> Result<RoutePolicy, (String, String)> {
    let mut content = content.clone();
    drop_null(&mut content);
    let document: PolicyDocument = decode_field(content)?;
    let policy = RoutePolicy::from(document);
    if policy.settings == RouteSettings::default() {
        let problem = "sets nothing: give it another field than selector";
        return Err((String::new(), problem.to_owned()));
    }
    Ok(policy)
}

/// A policy as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyDocument {
    #[serde(default)]
    selector: SelectorDocument,
    #[serde(default)]
    upstream: UpstreamDocument,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SelectorDocument {
    #[serde(deserialize_with = "text::object")]
    ingress: Option<ObjectName>,
    #[serde(deserialize_with = "text::host")]
    host: Option<HostPattern>,
    #[serde(deserialize_with = "text::path")]
    path: Option<Arc<str>>,
}

impl From<PolicyDocument> for RoutePolicy {
    fn from(document: PolicyDocument) -> Self {
        let PolicyDocument { selector, upstream } = document;
        Self {
            selector: RouteSelector {
                ingress: selector.ingress,
                host: selector.host,
                path: selector.path,
            },
            settings: RouteSettings {
                upstream: upstream.into(),
            },
        }
    }
}
