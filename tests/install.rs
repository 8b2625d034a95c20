//! What people install: every rendering of `manifests/`, judged by the tools that they use, and taken at its word. The
//! agent runs with the arguments, the capabilities and the permissions that it is given there.

mod agent;
mod chart;
mod image;
mod monitoring;
mod permissions;
mod rendering;
mod schemas;

use rendering::Rendering;
use serde_json::{Value, json};

/// Each overlay, and values of the chart that render the same.
fn overlays() -> [(&'static str, Value); 4] {
    let api_server = json!({"host": "10.110.0.2"});
    let digital_ocean = json!({
        "apiServer": api_server,
        "service": {"annotations": {
            "service.beta.kubernetes.io/do-loadbalancer-name": "fairway-ingress",
            "service.beta.kubernetes.io/do-loadbalancer-type": "REGIONAL",
            "service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol": "true",
            "service.beta.kubernetes.io/do-loadbalancer-size-unit": "2",
        }},
        "config": {"proxyProtocol": "optional", "trustedProxies": ["10.110.0.0/20"]},
    });
    let node_port = json!({
        "apiServer": api_server,
        "service": {"type": "NodePort", "nodePorts": {"http": 30080, "https": 30443}},
    });
    [
        ("digitalocean", digital_ocean),
        ("nodeport", node_port),
        (
            "service-proxy-only",
            json!({"apiServer": api_server, "ingress": {"enabled": false}}),
        ),
        ("ingress-only", json!({"serviceProxy": {"enabled": false}})),
    ]
}

/// All that can be rendered: the base, the overlays, and the chart with values that use each of its branches.
fn renderings() -> Vec<Rendering> {
    let everything = json!({
        "image": {"repository": "registry.test/fairway", "tag": "v1", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "pull"}],
        "extraArgs": ["--nodeport-addresses=all"],
        "extraCapabilities": ["NET_BIND_SERVICE"],
        "certificates": [{"namespace": "shop", "secrets": ["shop-tls"]}, {"namespace": "blog"}],
        "ingressClass": {"default": true},
        "podMonitor": {"enabled": true},
        "prometheusRule": {"enabled": true},
        "config": {"drainSeconds": 60, "ingressClass": "public"},
    });
    let kustomizations = ["base", "certificates"].map(str::to_owned).into_iter();
    let kustomizations =
        kustomizations.chain(overlays().map(|(name, _)| format!("overlays/{name}")));
    let charts = overlays().into_iter().map(|(_, values)| values);
    kustomizations
        .map(|path| Rendering::kustomize(&path))
        .chain(
            charts
                .chain([json!({}), everything])
                .map(|values| Rendering::chart(&values)),
        )
        .chain([Rendering::monitored()])
        .collect()
}
