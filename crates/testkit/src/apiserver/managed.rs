//! `metadata.managedFields`: the bookkeeping that makes up a large part of every real object.

use serde_json::{Map, Value, json};

use super::store::Writer;

/// The time as the API writes it, to the second.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

/// Notes that `writer` wrote the fields in which `object` differs from what was there before.
pub(super) fn note(object: &mut Value, before: Option<&Value>, writer: Writer<'_>) {
    let mut fields = Map::new();
    for part in ["metadata", "spec", "status", "endpoints", "ports", "data"] {
        let value = &object[part];
        if !value.is_null() && before.is_none_or(|before| before[part] != *value) {
            fields.insert(format!("f:{part}"), shape(value));
        }
    }
    let entry = json!({
        "manager": writer.manager, "operation": writer.operation, "apiVersion": object["apiVersion"],
        "time": now(), "fieldsType": "FieldsV1", "fieldsV1": fields,
        "subresource": if writer.status { "status" } else { "" },
    });
    let same = |old: &Value| {
        ["manager", "operation", "subresource"]
            .iter()
            .all(|field| old[field] == entry[field])
    };
    let mut entries = match object["metadata"]["managedFields"].take() {
        Value::Array(entries) => entries,
        _ => Vec::new(),
    };
    entries.retain(|old| !same(old));
    entries.push(entry);
    object["metadata"]["managedFields"] = entries.into();
}

/// The names of all fields, nested as in the object.
fn shape(value: &Value) -> Value {
    let Value::Object(map) = value else {
        return json!({});
    };
    map.iter()
        .filter(|(field, _)| *field != "managedFields")
        .map(|(field, value)| (format!("f:{field}"), shape(value)))
        .collect::<Map<_, _>>()
        .into()
}
