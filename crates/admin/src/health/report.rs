use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::IpFamily;

/// The health of the agent at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// When.
    pub now: Timestamp,
    /// Each family that has been programmed, or should have been by now.
    pub families: BTreeMap<IpFamily, FamilyHealth>,
    /// The Node object allows traffic to this node.
    pub node_eligible: bool,
    /// The router's listeners accept connections; `None` without a router.
    pub router_serving: Option<bool>,
    /// `Some(false)` where Services should be programmed and cannot be; `None` where nothing is known to be
    /// in the way.
    pub service_proxy_serving: Option<bool>,
    /// The agent is shutting down.
    pub draining: bool,
    /// What RBAC forbids, for example `leases.coordination.k8s.io`.
    pub forbidden: Vec<String>,
}

/// The health of one family's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyHealth {
    /// When the kernel last took a change, if ever.
    pub last_applied: Option<Timestamp>,
    /// No change has waited too long.
    pub fresh: bool,
}

impl HealthReport {
    /// The rules in the kernel follow the cluster: what `/livez` answers.
    pub fn is_live(&self) -> bool {
        self.families.values().all(|family| family.fresh)
    }

    /// New connections are welcome on this node: what `/healthz` answers.
    pub fn is_ready(&self) -> bool {
        self.is_live()
            && self.node_eligible
            && !self.draining
            && self.router_serving != Some(false)
            && self.service_proxy_serving != Some(false)
    }

    /// The JSON body of `/healthz`: kube-proxy's to the byte, unless the reason for a refusal is
    /// one that kube-proxy does not have, or RBAC forbids something: these are named at the end.
    pub fn healthz_body(&self) -> String {
        let mut body = self.body(self.is_ready());
        body.node_eligible = Some(self.node_eligible);
        body.draining = self.draining.then_some(true);
        body.router_serving = self.router_serving.filter(|serving| !serving);
        body.service_proxy_serving = self.service_proxy_serving.filter(|serving| !serving);
        body.forbidden = &self.forbidden;
        body.to_json()
    }

    /// The JSON body of `/livez`.
    pub fn livez_body(&self) -> String {
        self.body(self.is_live()).to_json()
    }

    fn body(&self, passed: bool) -> Body<'_> {
        let last_applied = self.families.values().filter_map(|it| it.last_applied);
        let status = |it: &FamilyHealth| Status {
            last_updated: it.last_applied.unwrap_or(NEVER),
            healthy: it.fresh,
        };
        Body {
            // Old kube-proxies synced periodically, so readers expect a recent time from one that
            // is well; it has been kept up since.
            last_updated: match passed {
                true => self.now,
                false => last_applied.max().unwrap_or(NEVER),
            },
            current_time: self.now,
            node_eligible: None,
            healthy: self.is_live(),
            status: self.families.iter().map(|(k, v)| (*k, status(v))).collect(),
            draining: None,
            router_serving: None,
            service_proxy_serving: None,
            forbidden: &[],
        }
    }
}

/// The order of the fields is the order on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(serialize_with = "rfc3339")]
    last_updated: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    current_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
    healthy: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    status: BTreeMap<IpFamily, Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draining: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    router_serving: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_proxy_serving: Option<bool>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    forbidden: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(serialize_with = "rfc3339")]
    last_updated: Timestamp,
    healthy: bool,
}

impl Body<'_> {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("times, booleans and fixed keys are always JSON")
    }
}

/// With as many digits of the second as are not zero, which is how Go writes a time in JSON.
fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Go's zero time, which kube-proxy shows for "not yet": 0001-01-01T00:00:00Z.
const NEVER: Timestamp = Timestamp::constant(-62_135_596_800, 0);
