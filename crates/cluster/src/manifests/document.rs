//! From the text of a file to objects.

use std::path::Path;

use fairway_model::{ObjectName, ObjectRef};
use serde_json::Value;

use super::kinds::Known;
use crate::Object;
use crate::problem::{OneLine, Problem, Reason};

/// Most nodes of one YAML document, which bounds its memory to some 300 MB: a List of 100,000 Services
/// has about 4 million.
const NODES: usize = 4_000_000;

/// Most events that anchors record. Manifests use anchors for a label or a container; nested ones
/// multiply.
const ANCHORED: usize = 100_000;

/// What a file declares, with objects in the form in which they are kept.
#[derive(Debug)]
pub(super) struct Parsed<T> {
    /// In the order of the file.
    pub(super) declarations: Vec<Declaration<T>>,
    /// What is wrong with single documents.
    pub(super) problems: Vec<Problem>,
    /// Kinds that are of no use to us, as `apiVersion/kind`.
    pub(super) skipped: Vec<String>,
}

/// One object of a file.
#[derive(Debug)]
pub(super) struct Declaration<T> {
    /// What the file says it is.
    pub(super) object: ObjectRef,
    /// What it amounts to; none when its fields do not decode.
    pub(super) content: Option<Vec<T>>,
}

/// Makes of an object what is kept of it; none if that is nothing.
pub(super) type Keep<'a, T> = &'a mut dyn FnMut(Object) -> Option<T>;

impl<T> Default for Parsed<T> {
    fn default() -> Self {
        Self {
            declarations: Vec::new(),
            problems: Vec::new(),
            skipped: Vec::new(),
        }
    }
}

/// Parses a whole file. An error of syntax makes all of it unusable: what follows cannot be trusted,
/// and what is missing cannot be told from what was removed. Each object goes as soon as `keep` has
/// seen it: all objects of a large file are many times as large as what is kept of them.
pub(super) fn parse<T>(path: &Path, text: &[u8], keep: Keep<'_, T>) -> Result<Parsed<T>, Problem> {
    let mut parsed = Parsed::default();
    let file = File { path };
    if let Err(error) = std::str::from_utf8(text) {
        let message = format!("is not UTF-8 text from byte {} on", error.valid_up_to());
        return Err(file.unreadable("", &message));
    }
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        let documents = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
        for (number, document) in (1..).zip(documents) {
            let document = document.map_err(|error| {
                file.unreadable(&format!("document {number}"), &error.to_string())
            })?;
            file.document(document, number, keep, &mut parsed);
        }
        return Ok(parsed);
    }
    let mut text = text;
    let documents = serde_saphyr::read_with_options::<_, Value>(&mut text, options());
    for (number, document) in (1..).zip(documents) {
        let document = document.map_err(|error| {
            let line = error.location().map(|location| location.line());
            let line = line.filter(|line| *line > 0);
            let place = match line {
                Some(line) => format!("document {number}, line {line}"),
                None => format!("document {number}"),
            };
            file.unreadable(&place, &error.render())
        })?;
        file.document(document, number, keep, &mut parsed);
    }
    Ok(parsed)
}

/// The problem of a file that cannot be used.
pub(super) fn unreadable(path: &Path, place: &str, message: &str) -> Problem {
    File { path }.unreadable(place, message)
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES,
            max_events: 2 * NODES,
            max_recorded_anchor_events: ANCHORED,
        },
        // Only `true` and `false`, as in YAML 1.2: a label may be `on` and a host `no`.
        strict_booleans: true,
        with_snippet: false,
    }
}

struct File<'a> {
    path: &'a Path,
}

impl File<'_> {
    fn document<T>(
        &self,
        mut document: Value,
        number: usize,
        keep: Keep<'_, T>,
        parsed: &mut Parsed<T>,
    ) {
        let kind = text(&document, "kind").to_owned();
        if document.is_null() {
            return;
        }
        if kind.is_empty() {
            let place = format!("document {number}");
            let message = "is no Kubernetes object: it has no kind; it is left out";
            parsed
                .problems
                .push(self.problem(&place, message, Reason::Invalid));
            return;
        }
        let Some(kind_of_items) = kind.strip_suffix("List") else {
            return self.object(document, &kind, number, keep, parsed);
        };
        let version = text(&document, "apiVersion").to_owned();
        let Some(Value::Array(items)) = document.get_mut("items").map(Value::take) else {
            return;
        };
        for mut item in items {
            // The items of a ServiceList need not say that they are Services, nor of which version.
            if text(&item, "kind").is_empty()
                && !kind_of_items.is_empty()
                && let Value::Object(fields) = &mut item
            {
                fields.insert("kind".to_owned(), kind_of_items.into());
                fields.insert("apiVersion".to_owned(), version.as_str().into());
            }
            self.document(item, number, keep, parsed);
        }
    }

    fn object<T>(
        &self,
        mut document: Value,
        kind: &str,
        number: usize,
        keep: Keep<'_, T>,
        parsed: &mut Parsed<T>,
    ) {
        let version = text(&document, "apiVersion").to_owned();
        let Some(known) = Known::find(&version, kind) else {
            parsed.skipped.push(format!("{kind} ({version})"));
            return;
        };
        let metadata = document.get("metadata").unwrap_or(&Value::Null);
        let name = text(metadata, "name");
        if name.is_empty() {
            let place = format!("document {number}");
            let message = format!("this {kind} has no metadata.name; it is left out");
            parsed
                .problems
                .push(self.problem(&place, &message, Reason::Invalid));
            return;
        }
        let namespace = match text(metadata, "namespace") {
            _ if !known.is_namespaced => "",
            "" => "default",
            namespace => namespace,
        };
        let object = ObjectRef {
            kind: known.kind,
            name: ObjectName::new(namespace, name),
        };
        if let Some(Value::Object(metadata)) = document.get_mut("metadata") {
            metadata.insert("namespace".to_owned(), (*object.name.namespace).into());
        }
        let content = known.decode(&version, document).map_err(|error| {
            let place = format!("document {number} of {}", self.path.display());
            parsed.problems.push(Problem {
                object: object.clone(),
                field: error.field,
                message: format!("{} ({place})", OneLine(&error.message)),
                reason: Reason::Invalid,
            });
        });
        parsed.declarations.push(Declaration {
            object,
            content: content
                .ok()
                .map(|objects| objects.into_iter().filter_map(keep).collect()),
        });
    }

    fn unreadable(&self, place: &str, message: &str) -> Problem {
        let message = format!("{}; its last good content stays in use", OneLine(message));
        self.problem(place, &message, Reason::Unreadable)
    }

    fn problem(&self, place: &str, message: &str, reason: Reason) -> Problem {
        Problem {
            object: ObjectRef {
                kind: "File",
                name: ObjectName::new("", self.path.to_string_lossy()),
            },
            field: place.to_owned(),
            message: message.to_owned(),
            reason,
        }
    }
}

/// A text field; empty when it is absent or something else.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
