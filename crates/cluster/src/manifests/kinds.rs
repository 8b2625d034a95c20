use k8s_openapi::api::core::v1::Endpoints;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::endpoints::slices;
use crate::Object;
use crate::decode::{FieldError, decode};

/// A kind that manifests may hold.
pub(super) struct Known {
    pub(super) kind: &'static str,
    /// The group, empty for the core group.
    group: &'static str,
    /// The versions whose fields we know; the first is the one to write.
    versions: &'static [&'static str],
    pub(super) is_namespaced: bool,
    decode: fn(Value) -> Result<Vec<Object>, FieldError>,
}

const KNOWN: &[Known] = &[
    Known {
        kind: "Service",
        group: "",
        versions: &["v1"],
        is_namespaced: true,
        decode: |value| one(value, Object::Service),
    },
    Known {
        kind: "Endpoints",
        group: "",
        versions: &["v1"],
        is_namespaced: true,
        decode: |value| {
            let endpoints = decode::<Endpoints>(value)?;
            let slices = slices(&endpoints).map(Box::new);
            Ok(slices.map(Object::EndpointSlice).collect())
        },
    },
    Known {
        kind: "Node",
        group: "",
        versions: &["v1"],
        is_namespaced: false,
        decode: |value| one(value, Object::Node),
    },
    Known {
        kind: "Secret",
        group: "",
        versions: &["v1"],
        is_namespaced: true,
        decode: |value| one(value, Object::Secret),
    },
    Known {
        kind: "EndpointSlice",
        group: "discovery.k8s.io",
        versions: &["v1"],
        is_namespaced: true,
        decode: |value| {
            let mut slice = decode::<EndpointSlice>(value)?;
            default_port_names(&mut slice);
            Ok(vec![Object::EndpointSlice(Box::new(slice))])
        },
    },
    Known {
        kind: "Ingress",
        group: "networking.k8s.io",
        versions: &["v1"],
        is_namespaced: true,
        decode: |value| one(value, Object::Ingress),
    },
    Known {
        kind: "IngressClass",
        group: "networking.k8s.io",
        versions: &["v1"],
        is_namespaced: false,
        decode: |value| one(value, Object::IngressClass),
    },
    Known {
        kind: "ServiceCIDR",
        group: "networking.k8s.io",
        versions: &["v1", "v1beta1"],
        is_namespaced: false,
        decode: |value| one(value, Object::ServiceCidr),
    },
];

/// Groups that served Ingress before its own did.
const EARLIER_GROUPS: &[&str] = &["extensions"];

impl Known {
    /// None for kinds that are of no use to us, also those of other groups with a known name. The
    /// items of a list need not say their version.
    pub(super) fn find(version: &str, kind: &str) -> Option<&'static Self> {
        let (group, _) = version.rsplit_once('/').unwrap_or_default();
        let mut known = KNOWN.iter().filter(|known| known.kind == kind);
        known.find(|known| {
            version.is_empty() || known.group == group || EARLIER_GROUPS.contains(&group)
        })
    }

    /// What an object of this kind and version amounts to.
    pub(super) fn decode(
        &self,
        version: &str,
        mut object: Value,
    ) -> Result<Vec<Object>, FieldError> {
        let (group, number) = version.rsplit_once('/').unwrap_or(("", version));
        let served = self.group == group && self.versions.contains(&number);
        if !served && !version.is_empty() {
            let wanted = match self.group {
                "" => self.versions[0].to_owned(),
                group => format!("{group}/{}", self.versions[0]),
            };
            return Err(FieldError {
                field: "apiVersion".to_owned(),
                message: format!("{version} is not supported; convert the object to {wanted}"),
            });
        }
        if let Value::Object(fields) = &mut object {
            // Settled here; the decoders would insist on their own version.
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        (self.decode)(object)
    }
}

fn one<T: DeserializeOwned>(
    value: Value,
    object: fn(Box<T>) -> Object,
) -> Result<Vec<Object>, FieldError> {
    Ok(vec![object(Box::new(decode(value)?))])
}

/// An API server gives ports without a name the empty one when a slice is written.
fn default_port_names(slice: &mut EndpointSlice) {
    for port in slice.ports.iter_mut().flatten() {
        port.name.get_or_insert_default();
    }
}
