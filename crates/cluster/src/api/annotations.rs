//! Which annotations are worth memory.

use std::collections::BTreeMap;

use crate::convert::trigger::TRIGGER_TIME;

type Annotations = Option<BTreeMap<String, String>>;

/// Keeps what configures service proxies, fairway's own annotations, and what is measured; everything else on a Service or
/// EndpointSlice is for others.
pub(super) fn keep_service_proxy(annotations: &mut Annotations) {
    retain(annotations, |key| {
        ["service.kubernetes.io/", "fairway.dev/"]
            .iter()
            .any(|prefix| key.starts_with(prefix))
            || key == TRIGGER_TIME
    });
}

/// Keeps what may configure an ingress controller, ours or one that is being replaced: `check` names
/// what is not supported. Dropped is what tools write for themselves, most of all kubectl's copy of
/// the whole object.
pub(super) fn keep_ingress(annotations: &mut Annotations) {
    const TOOLS: [&str; 4] = [
        "kubectl.kubernetes.io/",
        "meta.helm.sh/",
        "argocd.argoproj.io/",
        "kustomize.toolkit.fluxcd.io/",
    ];
    retain(annotations, |key| {
        !TOOLS.iter().any(|tool| key.starts_with(tool))
    });
}

fn retain(annotations: &mut Annotations, keep: impl Fn(&str) -> bool) {
    if let Some(map) = annotations {
        map.retain(|key, _| keep(key));
        if map.is_empty() {
            *annotations = None;
        }
    }
}
