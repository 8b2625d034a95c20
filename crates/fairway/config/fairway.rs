//! `FairwayConfiguration` (fairway.dev/v1alpha1): everything that kube-proxy does not have. Each of its
//! fields but `policies` is a flag, too, and called like it in camel case: whoever adds a flag to one of
//! these groups has added a field.

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::file::decode_field;
use super::policies::PolicyList;
use crate::args::{IngressArgs, ObservationArgs, ServiceProxyArgs, StatusArgs};

/// The groups, as typed.
#[derive(Clone, Debug, PartialEq, Args, Serialize)]
pub(crate) struct FairwayConfiguration {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) service_proxy: ServiceProxyArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) ingress: IngressArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) status: StatusArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) observation: ObservationArgs,
    /// Too much for a flag.
    #[arg(skip)]
    #[serde(flatten)]
    pub(crate) policies: PolicyList,
}

impl FairwayConfiguration {
    pub(crate) const API_VERSION: &'static str = "fairway.dev/v1alpha1";
    pub(crate) const KIND: &'static str = "FairwayConfiguration";
    /// What `/configz` calls it.
    pub(crate) const GROUP: &'static str = "fairway.dev";

    /// The same with these fields; an error is a field and what is wrong with it.
    pub(super) fn with(&self, fields: &Value) -> Result<Self, (String, String)> {
        Ok(Self {
            service_proxy: overlay(&self.service_proxy, fields)?,
            ingress: overlay(&self.ingress, fields)?,
            status: overlay(&self.status, fields)?,
            observation: overlay(&self.observation, fields)?,
            policies: overlay(&self.policies, fields)?,
        })
    }
}

/// A group with those of the fields that belong to it.
fn overlay<T: Serialize + DeserializeOwned>(
    group: &T,
    fields: &Value,
) -> Result<T, (String, String)> {
    let mut content = serde_json::to_value(group).map_err(|it| (String::new(), it.to_string()))?;
    if let (Value::Object(content), Value::Object(fields)) = (&mut content, fields) {
        for (field, value) in content {
            if let Some(given) = fields.get(field) {
                value.clone_from(given);
            }
        }
    }
    decode_field(content)
}
