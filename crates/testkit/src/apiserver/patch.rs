use std::sync::Arc;

use serde_json::{Map, Value};

use super::failure::Failure;
use super::resource::Resource;
use super::store::{Key, Store, Writer};

#[cfg(test)]
mod tests;

/// How a patch is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 7386. Strategic merge patches are taken for the same: lists are replaced.
    Merge,
    /// Server-side apply. Lists are owned and replaced whole.
    Apply {
        /// Fields of other managers may be taken over.
        force: bool,
    },
}

impl Format {
    pub(super) fn parse(content_type: &str, force: bool) -> Result<Self, Failure> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
                Ok(Self::Merge)
            }
            "application/apply-patch+yaml" => Ok(Self::Apply { force }),
            other => Err(Failure::unsupported_media_type(other)),
        }
    }
}

/// Changes an object, or with apply creates it. Returns it and whether it is new.
pub(super) fn patch(
    store: &mut Store,
    resource: &'static Resource,
    key: Key,
    format: Format,
    patch: &Value,
    writer: Writer<'_>,
) -> Result<(Arc<Value>, bool), Failure> {
    let before = store.get(resource, &key).cloned();
    match (format, before) {
        (Format::Merge, None) => Err(Failure::not_found(resource.plural, &key.name)),
        (Format::Merge, Some(before)) => {
            let mut object = before.as_ref().clone();
            merge(&mut object, patch);
            // A patch may name the version it is meant for.
            object["metadata"]["resourceVersion"] = patch["metadata"]["resourceVersion"].clone();
            Ok((store.replace(resource, key, object, writer)?, false))
        }
        (Format::Apply { .. }, None) if writer.status => {
            Err(Failure::not_found(resource.plural, &key.name))
        }
        (Format::Apply { force }, before) => {
            let wanted = without_identity(patch);
            let claims = store.applied.entry((resource, key.clone())).or_default();
            let mut object = before.as_deref().cloned().unwrap_or_else(|| patch.clone());
            apply(&mut object, &wanted, claims, writer.manager, force)?;
            claims.insert(writer.manager.to_owned(), wanted);
            match before {
                None => Ok((store.create(resource, key, object, writer)?, true)),
                Some(_) => Ok((store.replace(resource, key, object, writer)?, false)),
            }
        }
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (field, value) in patch {
        if value.is_null() {
            target.remove(field);
        } else {
            merge(target.entry(field).or_insert(Value::Null), value);
        }
    }
}

/// Merges what a manager wants and drops what it no longer wants, unless others do.
fn apply(
    object: &mut Value,
    wanted: &Value,
    claims: &mut std::collections::BTreeMap<String, Value>,
    manager: &str,
    force: bool,
) -> Result<(), Failure> {
    let mut wanted_leaves = Vec::new();
    leaves(wanted, &mut Vec::new(), &mut wanted_leaves);
    for (other, claim) in claims.iter_mut().filter(|(name, _)| *name != manager) {
        for (path, value) in &wanted_leaves {
            let contested = lookup(claim, path).is_some_and(|theirs| theirs != *value);
            if contested && !force {
                return Err(Failure::conflict(format!(
                    "Apply failed with 1 conflict: conflict with {other:?}: .{}",
                    path.join(".")
                )));
            }
            if contested {
                remove(claim, path);
            }
        }
    }
    if let Some(previous) = claims.get(manager) {
        let mut dropped = Vec::new();
        leaves(previous, &mut Vec::new(), &mut dropped);
        let others = || claims.iter().filter(|(name, _)| *name != manager);
        for (path, _) in dropped {
            let wanted = wanted_leaves.iter().any(|(kept, _)| *kept == path);
            if !wanted && !others().any(|(_, claim)| lookup(claim, &path).is_some()) {
                remove(object, &path);
            }
        }
    }
    merge(object, wanted);
    Ok(())
}

/// What of an applied object can be owned.
fn without_identity(applied: &Value) -> Value {
    let mut wanted = applied.clone();
    if let Some(map) = wanted.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    if let Some(metadata) = wanted["metadata"].as_object_mut() {
        for field in [
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "managedFields",
        ] {
            metadata.remove(field);
        }
    }
    wanted
}

/// A field that is not an object, with its path.
type Leaf<'a> = (Vec<&'a str>, &'a Value);

fn leaves<'a>(value: &'a Value, path: &mut Vec<&'a str>, found: &mut Vec<Leaf<'a>>) {
    match value {
        Value::Object(map) => {
            for (field, value) in map {
                path.push(field);
                leaves(value, path, found);
                path.pop();
            }
        }
        leaf => found.push((path.clone(), leaf)),
    }
}

fn lookup<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, field| value.get(field))
}

fn remove(value: &mut Value, path: &[&str]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let parent = parents
        .iter()
        .try_fold(value, |value, field| value.get_mut(field));
    if let Some(Value::Object(map)) = parent {
        map.remove(*last);
    }
}
