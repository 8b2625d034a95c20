use serde_json::json;

use super::*;

const FORCE: Format = Format::Apply { force: true };
const ASK: Format = Format::Apply { force: false };

fn by(manager: &str) -> Writer<'_> {
    Writer {
        manager,
        operation: "Apply",
        status: false,
    }
}

struct Bench {
    store: Store,
    resource: &'static Resource,
}

impl Bench {
    fn new() -> Self {
        Self {
            store: Store::default(),
            resource: Resource::by_path("", "v1", "configmaps").unwrap(),
        }
    }

    fn key() -> Key {
        Key {
            namespace: "default".into(),
            name: "settings".into(),
        }
    }

    fn patch(&mut self, format: Format, data: Value, manager: &str) -> Result<Value, Failure> {
        let body = json!({ "metadata": { "name": "settings" }, "data": data });
        let (object, _) = patch(
            &mut self.store,
            self.resource,
            Self::key(),
            format,
            &body,
            by(manager),
        )?;
        Ok(object["data"].clone())
    }
}

#[test]
fn merge_patch_changes_adds_and_removes() {
    let mut bench = Bench::new();
    bench
        .patch(ASK, json!({ "a": "1", "b": "2" }), "one")
        .unwrap();
    let data = bench
        .patch(
            Format::Merge,
            json!({ "a": null, "b": "3", "c": "4" }),
            "two",
        )
        .unwrap();
    assert_eq!(data, json!({ "b": "3", "c": "4" }));
}

#[test]
fn merge_patch_for_another_version_conflicts() {
    let mut bench = Bench::new();
    bench.patch(ASK, json!({ "a": "1" }), "one").unwrap();
    let body = json!({ "metadata": { "resourceVersion": "77" }, "data": { "a": "2" } });
    let result = patch(
        &mut bench.store,
        bench.resource,
        Bench::key(),
        Format::Merge,
        &body,
        by("two"),
    );
    assert_eq!(result.unwrap_err().code, 409);
}

#[test]
fn apply_drops_what_its_manager_no_longer_wants() {
    let mut bench = Bench::new();
    bench
        .patch(ASK, json!({ "a": "1", "b": "2" }), "one")
        .unwrap();
    bench
        .patch(ASK, json!({ "b": "2", "c": "3" }), "two")
        .unwrap();
    let data = bench.patch(ASK, json!({}), "one").unwrap();
    assert_eq!(
        data,
        json!({ "b": "2", "c": "3" }),
        "b is still wanted by two"
    );
}

#[test]
fn apply_conflicts_until_forced() {
    let mut bench = Bench::new();
    bench.patch(ASK, json!({ "a": "1" }), "one").unwrap();
    let failure = bench.patch(ASK, json!({ "a": "2" }), "two").unwrap_err();
    assert_eq!(failure.code, 409);
    assert!(failure.message.contains("\"one\": .data.a"), "{failure}");

    assert_eq!(
        bench.patch(FORCE, json!({ "a": "2" }), "two").unwrap(),
        json!({ "a": "2" })
    );
    let data = bench.patch(ASK, json!({}), "one").unwrap();
    assert_eq!(data, json!({ "a": "2" }), "it is no longer one's");
}
