//! What the API server would take, by the schemas of Kubernetes.

use std::collections::BTreeSet;
use std::process::Command;

use super::rendering::{Rendering, judge, run};
use super::renderings;

/// The oldest that the chart admits, one between, and the newest.
const VERSIONS: [&str; 3] = ["1.29", "1.33", "1.37"];

/// Kinds of the Prometheus operator, whose schemas Kubernetes does not have.
const OPERATOR: &str = "monitoring.coreos.com/v1";

#[test]
fn every_rendering_is_what_the_schemas_say() {
    // Most objects are the same in most renderings.
    let objects = renderings().into_iter().flat_map(|it| it.objects());
    let objects = objects.filter(|object| object["apiVersion"] != OPERATOR);
    let objects: BTreeSet<String> = objects.map(|object| object.to_string()).collect();
    assert!(objects.len() > 30, "{}", objects.len());
    let file = tempfile::NamedTempFile::new().unwrap();
    let objects: Vec<String> = objects.into_iter().collect();
    std::fs::write(file.path(), objects.join("\n---\n")).unwrap();
    for version in VERSIONS {
        let mut validate = Command::new("kubernetes-validate");
        validate.args(["--strict", "--kubernetes-version", version]);
        validate.arg(file.path());
        let validated = run(validate, "");
        assert!(validated.status.success(), "{version}: {validated:?}");
    }
}

#[test]
fn what_is_for_the_prometheus_operator_is_what_its_definitions_say() {
    let objects = renderings().into_iter().flat_map(|it| it.objects());
    let objects = objects.filter(|object| object["apiVersion"] == OPERATOR);
    let objects: BTreeSet<String> = objects.map(|object| object.to_string()).collect();
    // With and without the chart's labels.
    for kind in ["PodMonitor", "PrometheusRule"] {
        let of = objects.iter().filter(|it| it.contains(kind));
        assert!(of.count() >= 2, "{kind}");
    }
    let objects = format!("[{}]", Vec::from_iter(objects).join(","));
    let judged = run(judge("operator_objects.py"), &objects);
    assert!(judged.status.success(), "{judged:?}");
    for (right, wrong) in [
        ("podMetricsEndpoints", "podMetricEndpoints"),
        (r#""interval":""#, r#""interval":"often"#),
        ("annotations", "annotation"),
        (r#""expr":"#, r#""exp":"#),
    ] {
        assert!(objects.contains(right), "{right}");
        let judged = run(judge("operator_objects.py"), &objects.replace(right, wrong));
        assert!(!judged.status.success(), "{wrong}: {judged:?}");
    }
}

/// The judge is one: it refuses what is wrong.
#[test]
fn a_typo_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("typo.yaml");
    let right = Rendering::kustomize("base").text;
    for (what, wrong) in [
        ("minReadySeconds:", "minimumReadySeconds:"),
        ("hostNetwork: true", "hostNetwork: always"),
        ("externalTrafficPolicy:", "externalTraficPolicy:"),
    ] {
        assert!(right.contains(what), "{what}");
        std::fs::write(&file, right.replacen(what, wrong, 1)).unwrap();
        let mut validate = Command::new("kubernetes-validate");
        validate
            .args(["--strict", "--kubernetes-version", "1.33"])
            .arg(&file);
        let validated = run(validate, "");
        assert!(!validated.status.success(), "{wrong}: {validated:?}");
    }
}
