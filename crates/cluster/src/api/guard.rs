use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::kinds::Watched;
use crate::decode::{FieldError, decode};

/// An object of a list or a watch. One that does not decode must not spoil the list it is in.
#[derive(Clone, Debug)]
pub(super) struct Guarded<K> {
    pub(super) object: Result<K, FieldError>,
    /// Where the object did not decode: what a watcher has to know of it.
    identity: ObjectMeta,
}

impl<'de, K: Watched> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let metadata = &value["metadata"];
        let text = |field: &str| metadata[field].as_str().map(str::to_owned);
        let identity = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            uid: text("uid"),
            ..ObjectMeta::default()
        };
        Ok(Self {
            object: decode(value),
            identity,
        })
    }
}

impl<K: Watched> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.object.as_ref().map_or(&self.identity, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.object.as_mut().map_or(&mut self.identity, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_decode_keeps_its_name_and_spoils_nothing() {
        let list = json!([
            {"metadata": {"name": "web", "resourceVersion": "1"}, "spec": {"clusterIP": "10.96.0.10"}},
            {
                "metadata": {"name": "bad", "namespace": "shop", "resourceVersion": "2", "labels": 1},
                "spec": {"ports": [{"port": "eighty"}]},
            },
            "no object at all",
        ]);
        let list: Vec<Guarded<Service>> = serde_json::from_value(list).unwrap();
        let [web, bad, nothing] = &list[..] else {
            panic!("{list:?}")
        };
        let spec = web.object.as_ref().unwrap().spec.as_ref().unwrap();
        assert_eq!(spec.cluster_ip.as_deref(), Some("10.96.0.10"));
        assert_eq!(web.meta().name.as_deref(), Some("web"));
        assert_eq!(bad.meta().name.as_deref(), Some("bad"));
        assert_eq!(bad.meta().namespace.as_deref(), Some("shop"));
        assert_eq!(bad.meta().resource_version.as_deref(), Some("2"));
        assert_eq!(bad.object.as_ref().unwrap_err().field, "metadata.labels");
        assert_eq!(nothing.meta().name, None);
        nothing.object.as_ref().unwrap_err();
    }
}
