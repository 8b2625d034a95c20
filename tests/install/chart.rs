//! The chart: the same objects as kustomize makes, and no values that mean nothing.

use serde_json::{Value, json};

use super::overlays;
use super::rendering::Rendering;

#[test]
fn the_chart_renders_what_the_overlays_do() {
    for (overlay, values) in overlays() {
        let kustomized = Rendering::kustomize(&format!("overlays/{overlay}"));
        let [kustomized, templated] =
            [kustomized, Rendering::chart(&values)].map(|it| comparable(&it));
        let names = |objects: &[(String, Value)]| -> Vec<String> {
            objects.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&kustomized), names(&templated), "{overlay}");
        for ((name, one), (_, other)) in kustomized.iter().zip(&templated) {
            let [one, other] = [one, other].map(|it| serde_json::to_string_pretty(it).unwrap());
            assert_eq!(one, other, "{overlay}: {name}");
        }
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    for (values, field) in [
        (json!({"clusterCidr": "10.244.0.0/16"}), "clusterCidr"),
        (json!({"clusterCIDR": "10.244.0.0"}), "clusterCIDR"),
        (json!({"serviceProxy": {"enabled": "no"}}), "serviceProxy"),
        (
            json!({"apiServer": {"host": "https://10.0.0.1"}}),
            "apiServer",
        ),
        (
            json!({"service": {"annotations": {"do-loadbalancer-enable-proxy-protocol": true}}}),
            "annotations",
        ),
        (
            json!({"extraArgs": ["nodeport-addresses=all"]}),
            "extraArgs",
        ),
    ] {
        let refused = Rendering::try_chart(&values);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{values}");
        assert!(said.contains(field), "{values}: {said}");
    }
}

/// The objects by kind and name, without what the tools mark them by.
fn comparable(rendering: &Rendering) -> Vec<(String, Value)> {
    let objects = rendering.objects().into_iter();
    // Helm makes the namespace itself (--create-namespace).
    let objects = objects.filter(|object| object["kind"] != "Namespace");
    let mut objects: Vec<_> = objects
        .map(|mut object| {
            let kind = object["kind"].as_str().unwrap();
            let name = format!("{kind} {}", object["metadata"]["name"].as_str().unwrap());
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.remove("labels");
            let pod = object.pointer_mut("/spec/template/spec");
            if let Some(pod) = pod.and_then(Value::as_object_mut) {
                tidy(pod);
            }
            if let Some(text) = object.pointer_mut("/data/fairway.yaml") {
                *text = serde_saphyr::from_str(text.as_str().unwrap()).unwrap();
            }
            (name, object)
        })
        .collect();
    objects.sort_by(|one, other| one.0.cmp(&other.0));
    objects
}

/// Orders and spellings of a pod that mean the same.
fn tidy(pod: &mut serde_json::Map<String, Value>) {
    if pod.get("initContainers") == Some(&json!([])) {
        pod.remove("initContainers");
    }
    for list in ["initContainers", "containers"] {
        let containers = pod.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let container = container.as_object_mut().unwrap();
            // The default for a tag that is not `latest`.
            if container.get("imagePullPolicy") == Some(&json!("IfNotPresent")) {
                container.remove("imagePullPolicy");
            }
            if let Some(env) = container.get_mut("env") {
                let env = env.as_array_mut().unwrap();
                env.sort_by_key(|variable| variable["name"].to_string());
            }
        }
    }
}
