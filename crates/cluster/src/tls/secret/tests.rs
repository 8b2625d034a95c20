use serde_json::json;

use super::*;

fn secret(value: serde_json::Value) -> Secret {
    serde_json::from_value(value).unwrap()
}

#[test]
fn only_the_fields_of_tls_are_decoded() {
    let secret = secret(json!({
        "metadata": {"name": "web", "namespace": "shop"}, "type": "kubernetes.io/tls",
        "data": {"tls.crt": "Y2VydA==", "tls.key": "a2V5", "password": "aHVudGVyMg=="},
    }));
    assert_eq!(secret.get(Field::Certificate), Some(&b"cert"[..]));
    assert_eq!(secret.get(Field::Key), Some(&b"key"[..]));
    assert_eq!(secret.get(Field::Authorities), None);
}

#[test]
fn nothing_of_the_content_is_ever_printed() {
    let value = json!({
        "metadata": {"name": "web", "namespace": "shop", "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{data: {tls.key: a2V5}}",
        }},
        "type": "kubernetes.io/tls", "data": {"tls.key": "a2V5"}, "stringData": {"tls.crt": "cert"},
    });
    let object = crate::Object::Secret(Box::new(secret(value)));
    let event = format!("{:?}", crate::Event::Apply(object));
    assert!(event.contains("web"), "{event}");
    for hidden in [
        "a2V5",
        "key",
        "cert",
        "107, 101, 121",
        "6b6579",
        "last-applied",
    ] {
        assert!(!event.contains(hidden), "{event}");
    }
}

#[test]
fn text_of_manifests_counts_before_data() {
    let secret = secret(json!({
        "data": {"tls.crt": "b2xk", "tls.key": "a2V5"}, "stringData": {"tls.crt": "new"},
    }));
    assert_eq!(secret.get(Field::Certificate), Some(&b"new"[..]));
    assert_eq!(secret.get(Field::Key), Some(&b"key"[..]));
}

#[test]
fn whatever_stands_there_decodes_and_is_quoted_nowhere() {
    for data in [
        json!(null),
        json!("top secret"),
        json!(7),
        json!(true),
        json!(1.5),
        json!(["top secret"]),
        json!({"tls.key": "not base64: top secret"}),
        json!({"tls.key": {"nested": "top secret"}}),
        json!({"tls.key": null}),
        json!({"tls.key": 7}),
    ] {
        let decoded = serde_json::from_value::<Secret>(json!({"data": data, "stringData": null}));
        let decoded = decoded.unwrap_or_else(|error| panic!("{data}: {error}"));
        assert_eq!(decoded.get(Field::Key), None, "{data}");
    }
}

#[test]
fn a_change_of_anything_that_matters_is_seen() {
    let base = json!({"type": "a", "data": {"tls.key": "a2V5"}});
    let same = secret(base.clone());
    for other in [
        json!({"type": "b", "data": {"tls.key": "a2V5"}}),
        json!({"type": "a", "data": {"tls.crt": "a2V5"}}),
        json!({"type": "a", "data": {"tls.key": "a2V6"}}),
        json!({"type": "a"}),
    ] {
        assert!(!same.says_the_same(&secret(other.clone())), "{other}");
        assert_ne!(same.fingerprint(), secret(other).fingerprint());
    }
    let mut relabelled = base;
    relabelled["metadata"] = json!({"name": "web", "labels": {"a": "b"}});
    assert!(same.says_the_same(&secret(relabelled.clone())));
    assert_eq!(same.fingerprint(), secret(relabelled).fingerprint());
}
