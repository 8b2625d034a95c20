use serde_json::json;

use super::*;

fn services() -> &'static Resource {
    Resource::by_path("", "v1", "services").unwrap()
}

fn selects(labels: &str, fields: &str) -> bool {
    let object = json!({
        "metadata": { "name": "web", "labels": { "app": "web", "tier": "front", "empty": "" } },
        "spec": { "clusterIP": "10.0.0.1" },
    });
    Selector::parse(services(), labels, fields)
        .unwrap()
        .matches(&object)
}

#[test]
fn selects_by_labels() {
    for yes in [
        "",
        "app",
        "!other",
        "empty",
        "app=web",
        "app==web",
        "app!=api",
        "other!=x",
        "app in (api, web)",
        "app notin (api)",
        "other notin (api)",
        "app in (api,web),!other,tier=front",
        "empty=",
    ] {
        assert!(selects(yes, ""), "{yes}");
    }
    for no in [
        "other",
        "!app",
        "!empty",
        "app=api",
        "app!=web",
        "app in (api)",
        "app notin (web, api)",
        "app in (api,web),other",
    ] {
        assert!(!selects(no, ""), "{no}");
    }
}

#[test]
fn selects_by_fields() {
    assert!(selects("", "spec.clusterIP!=None"));
    assert!(selects("", "metadata.name=web,spec.clusterIP==10.0.0.1"));
    assert!(selects("", "spec.type="), "an absent field is empty");
    assert!(!selects("", "metadata.name!=web"));
    assert!(!selects("", "spec.clusterIP=None"));
}

#[test]
fn refuses_what_a_real_server_refuses() {
    for bad in ["=", "a b", "app in web", "(x)", "app is (x)"] {
        assert!(Selector::parse(services(), bad, "").is_err(), "{bad}");
    }
    for bad in ["metadata.uid=1", "spec.externalName=x", "name"] {
        assert!(Selector::parse(services(), "", bad).is_err(), "{bad}");
    }
}
