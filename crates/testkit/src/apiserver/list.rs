use std::ops::Bound;

use serde_json::{Value, json};

use super::failure::Failure;
use super::selector::Selector;
use super::store::{Key, Store};
use super::target::{Query, Target};

/// Answers a list, or a page of one.
///
/// All pages show the objects as they were at the first one, as long as that version is kept.
pub(super) fn list(store: &mut Store, target: &Target, query: &Query) -> Result<Value, Failure> {
    let resource = target.resource;
    let selector = Selector::parse(
        resource,
        query.text("labelSelector"),
        query.text("fieldSelector"),
    )?;
    let (revision, objects, after) = match query.text("continue") {
        "" => {
            let wanted = query.number("resourceVersion").unwrap_or(0);
            if wanted > store.revision() {
                return Err(Failure::internal("Too large resource version"));
            }
            // As a real server, which does not look through all objects for one.
            let objects = match (selector.name(), &target.namespace) {
                (Some(name), Some(namespace)) => store.named(resource, namespace, name),
                _ => store.objects(resource),
            };
            (store.revision(), objects, None)
        }
        token => {
            let (revision, key) = parse_token(token)
                .ok_or_else(|| Failure::bad_request("continue key is not valid"))?;
            let objects = store.snapshot(resource, revision).ok_or_else(|| Failure {
                message: "The provided continue parameter is too old".to_owned(),
                ..Failure::expired()
            })?;
            (revision, objects, Some(key))
        }
    };
    // A real server answers version "0" from its cache, whole.
    let limit = match query.number("limit") {
        None | Some(0) => usize::MAX,
        Some(_) if query.text("resourceVersion") == "0" => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };

    let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut matching = objects
        .range((from, Bound::Unbounded))
        .filter(|(key, object)| {
            target
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == key.namespace)
                && selector.matches(object)
        })
        .peekable();
    let page: Vec<_> = matching.by_ref().take(limit).collect();

    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    if let (Some((last, _)), true) = (page.last(), matching.peek().is_some()) {
        metadata["continue"] = token(revision, last).into();
        if selector.is_everything() {
            metadata["remainingItemCount"] = matching.count().into();
        }
        if after.is_none() {
            store.keep_snapshot(resource);
        }
    }
    Ok(json!({
        "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(),
        "metadata": metadata,
        "items": page.into_iter().map(|(_, object)| object.as_ref()).collect::<Vec<_>>(),
    }))
}

fn token(revision: u64, last: &Key) -> String {
    format!("{revision}:{}/{}", last.namespace, last.name)
}

fn parse_token(token: &str) -> Option<(u64, Key)> {
    let (revision, key) = token.split_once(':')?;
    let (namespace, name) = key.split_once('/')?;
    let key = Key {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    Some((revision.parse().ok()?, key))
}
