use serde_json::Value;

use super::failure::Failure;

/// Fields that an Event must have, and how many bytes a real server takes of each.
const REQUIRED: [(&str, usize); 4] = [
    ("reason", 128),
    ("action", 128),
    ("reportingController", 253),
    ("reportingInstance", 128),
];

const LONGEST_NOTE: usize = 1024;

/// What a real API server asks of an Event of `events.k8s.io/v1` that is created.
pub(super) fn check(event: &Value) -> Result<(), Failure> {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    for (field, longest) in REQUIRED {
        if text(field).is_empty() {
            return Err(Failure::invalid(format!("{field}: Required value")));
        }
        if text(field).len() > longest {
            return Err(Failure::invalid(format!(
                "{field}: Invalid value: can have at most {longest} characters"
            )));
        }
    }
    if text("note").len() > LONGEST_NOTE {
        return Err(Failure::invalid(format!(
            "note: Invalid value: can have at most {LONGEST_NOTE} characters"
        )));
    }
    if !matches!(text("type"), "Normal" | "Warning") {
        return Err(Failure::invalid("type: Invalid value"));
    }
    // MicroTime has six digits, no fewer and no more.
    let time = text("eventTime").split_once('.');
    if time.is_none_or(|(_, fraction)| fraction.len() != "000000Z".len()) {
        return Err(Failure::invalid("eventTime: Required value"));
    }
    let namespace = event["regarding"]["namespace"].as_str();
    let own = event["metadata"]["namespace"].as_str().unwrap_or("default");
    if namespace.unwrap_or("default") != own {
        return Err(Failure::invalid(
            "regarding.namespace: Invalid value: does not match event.namespace",
        ));
    }
    let name = event["metadata"]["name"].as_str().unwrap_or_default();
    if name.len() > 253 {
        return Err(Failure::invalid(
            "metadata.name: Invalid value: must be no more than 253 characters",
        ));
    }
    Ok(())
}
