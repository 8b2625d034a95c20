use serde_json::Value;

use super::failure::Failure;
use super::resource::Resource;

#[cfg(test)]
mod tests;

/// Which objects a list or watch is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelRequirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Exists,
    DoesNotExist,
    In(Vec<String>),
    /// Also holds where the label is absent.
    NotIn(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// Parses `labelSelector` and `fieldSelector`.
    pub(super) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Failure> {
        Ok(Self {
            labels: split(labels).map(label).collect::<Result<_, _>>()?,
            fields: split(fields)
                .map(|text| field(resource, text))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether everything is selected.
    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The only name that is selected, if there is one: kubelets and others ask for objects so.
    pub(super) fn name(&self) -> Option<&str> {
        let mut fields = self.fields.iter();
        let by_name = fields.find(|it| it.path == "metadata.name" && it.equal);
        by_name.map(|requirement| &*requirement.value)
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| {
            let value = labels[&requirement.key].as_str();
            match &requirement.condition {
                Condition::Exists => value.is_some(),
                Condition::DoesNotExist => value.is_none(),
                Condition::In(values) => value.is_some_and(|v| values.iter().any(|w| w == v)),
                Condition::NotIn(values) => !value.is_some_and(|v| values.iter().any(|w| w == v)),
            }
        }) && self.fields.iter().all(|requirement| {
            let value = requirement
                .path
                .split('.')
                .fold(object, |value, field| &value[field]);
            let equal = match value {
                Value::Null => requirement.value.is_empty(),
                Value::String(text) => *text == requirement.value,
                Value::Bool(flag) => (if *flag { "true" } else { "false" }) == requirement.value,
                _ => false,
            };
            equal == requirement.equal
        })
    }
}

/// Splits at commas that are not within parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |character: char| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn label(text: &str) -> Result<LabelRequirement, Failure> {
    let requirement = |key: &str, condition| {
        let key = key.trim();
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || "!=()".contains(c)) {
            return Err(Failure::bad_request(format!(
                "unable to parse requirement: {text:?}"
            )));
        }
        Ok(LabelRequirement {
            key: key.to_owned(),
            condition,
        })
    };
    if let Some((key, values)) = text.strip_suffix(')').and_then(|t| t.split_once('(')) {
        let values = values.split(',').map(|v| v.trim().to_owned()).collect();
        return match key.trim().rsplit_once(char::is_whitespace) {
            Some((key, "in")) => requirement(key, Condition::In(values)),
            Some((key, "notin")) => requirement(key, Condition::NotIn(values)),
            _ => requirement("", Condition::Exists),
        };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return requirement(key, Condition::NotIn(vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = text.split_once('=') {
        let value = value.trim_start_matches('=').trim();
        return requirement(key, Condition::In(vec![value.to_owned()]));
    }
    match text.strip_prefix('!') {
        Some(key) => requirement(key, Condition::DoesNotExist),
        None => requirement(text, Condition::Exists),
    }
}

fn field(resource: &Resource, text: &str) -> Result<FieldRequirement, Failure> {
    let (path, value, equal) = if let Some((path, value)) = text.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = text.split_once('=') {
        (path, value.trim_start_matches('='), true)
    } else {
        return Err(Failure::bad_request(format!(
            "invalid field selector: {text:?}"
        )));
    };
    let known = match path {
        "metadata.name" => true,
        "metadata.namespace" => resource.namespaced,
        _ => resource.fields.contains(&path),
    };
    if !known {
        return Err(Failure::bad_request(format!(
            "field label not supported: {path}"
        )));
    }
    Ok(FieldRequirement {
        path: path.to_owned(),
        value: value.to_owned(),
        equal,
    })
}
