use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use serde_json::{Value, json};

use super::failure::Failure;
use super::managed;
use super::resource::Resource;

/// Changes that are kept for watches; a real server's watch cache keeps a few thousand, too.
const HISTORY: usize = 100_000;

/// What of an object's metadata only the server writes.
const OWN_METADATA: [&str; 5] = [
    "uid",
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// All objects, and how they came to be.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// The version of the newest change.
    revision: u64,
    /// Watches can begin here or later.
    compacted: u64,
    objects: BTreeMap<&'static Resource, Objects>,
    history: VecDeque<Change>,
    /// The objects as they were when a list in pages began.
    snapshots: BTreeMap<(u64, &'static Resource), Objects>,
    /// What each manager applied last, for server-side apply.
    pub(super) applied: BTreeMap<(&'static Resource, Key), BTreeMap<String, Value>>,
    uids: u64,
}

/// The objects of a kind; a copy is cheap.
pub(super) type Objects = RedBlackTreeMapSync<Key, Arc<Value>>;

/// Where an object is; the namespace is empty for objects that have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// One step of history.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) resource: &'static Resource,
    pub(super) key: Key,
    pub(super) before: Option<Arc<Value>>,
    /// `None` once deleted.
    pub(super) after: Option<Arc<Value>>,
}

/// Who writes, and through which path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer<'a> {
    pub(super) manager: &'a str,
    pub(super) operation: &'static str,
    pub(super) status: bool,
}

impl Store {
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn objects(&self, resource: &'static Resource) -> Objects {
        self.objects.get(resource).cloned().unwrap_or_default()
    }

    /// The one of this name, if there is one.
    pub(super) fn named(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> Objects {
        let key = Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let object = self.get(resource, &key).cloned();
        object.map(|object| (key, object)).into_iter().collect()
    }

    pub(super) fn get(&self, resource: &'static Resource, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(resource)?.get(key)
    }

    /// Forgets the past: watches and lists in pages that go back to it have expired.
    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.snapshots.clear();
        self.compacted = self.revision;
    }

    /// The changes after a version, or `None` where they are not known any more.
    pub(super) fn changes_since(&self, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        let first = self.history.partition_point(|c| c.revision <= revision);
        (revision >= self.compacted).then(|| self.history.range(first..))
    }

    /// Remembers the objects for the next pages of a list.
    pub(super) fn keep_snapshot(&mut self, resource: &'static Resource) {
        let objects = self.objects(resource);
        self.snapshots.insert((self.revision, resource), objects);
    }

    pub(super) fn snapshot(&self, resource: &'static Resource, revision: u64) -> Option<Objects> {
        self.snapshots.get(&(revision, resource)).cloned()
    }

    pub(super) fn create(
        &mut self,
        resource: &'static Resource,
        key: Key,
        object: Value,
        writer: Writer<'_>,
    ) -> Result<Arc<Value>, Failure> {
        if self.get(resource, &key).is_some() {
            return Err(Failure::already_exists(resource.plural, &key.name));
        }
        Ok(self.write(resource, key, object, writer))
    }

    /// Writes an object that exists. A `resourceVersion` in it must be the current one.
    pub(super) fn replace(
        &mut self,
        resource: &'static Resource,
        key: Key,
        object: Value,
        writer: Writer<'_>,
    ) -> Result<Arc<Value>, Failure> {
        let Some(before) = self.get(resource, &key).cloned() else {
            return Err(Failure::not_found(resource.plural, &key.name));
        };
        let version = |object: &Value| {
            object["metadata"]["resourceVersion"]
                .as_str()
                .map(str::to_owned)
        };
        if version(&object).is_some_and(|v| !v.is_empty() && Some(v) != version(&before)) {
            return Err(Failure::conflict(format!(
                "Operation cannot be fulfilled on {} {:?}: the object has been modified; \
                 please apply your changes to the latest version and try again",
                resource.plural, key.name
            )));
        }
        let object = if writer.status {
            with_field(&before, "status", &object)
        } else if resource.status {
            with_field(&object, "status", &before)
        } else {
            object
        };
        Ok(self.write(resource, key, object, writer))
    }

    pub(super) fn delete(
        &mut self,
        resource: &'static Resource,
        key: &Key,
    ) -> Result<Arc<Value>, Failure> {
        let objects = self.objects.entry(resource).or_default();
        let Some(before) = objects.get(key).cloned() else {
            return Err(Failure::not_found(resource.plural, &key.name));
        };
        objects.remove_mut(key);
        self.applied.remove(&(resource, key.clone()));
        self.record(resource, key.clone(), Some(Arc::clone(&before)), None);
        Ok(before)
    }

    /// Stores an object with the metadata that the server looks after. Writing what is there already
    /// changes nothing, not even the version.
    pub(super) fn write(
        &mut self,
        resource: &'static Resource,
        key: Key,
        mut object: Value,
        writer: Writer<'_>,
    ) -> Arc<Value> {
        let before = self.get(resource, &key).cloned();
        object["apiVersion"] = resource.api_version().into();
        object["kind"] = resource.kind.into();
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let metadata = &mut object["metadata"];
        metadata["name"] = key.name.clone().into();
        if resource.namespaced {
            metadata["namespace"] = key.namespace.clone().into();
        }
        if let Some(before) = &before {
            for field in OWN_METADATA {
                metadata[field] = before["metadata"][field].clone();
            }
            if *before.as_ref() == object {
                return Arc::clone(before);
            }
            if object["spec"] != before["spec"] {
                let generation = before["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
                object["metadata"]["generation"] = generation.into();
            }
        } else {
            self.uids += 1;
            metadata["uid"] = format!("00000000-0000-4000-8000-{:012x}", self.uids).into();
            metadata["generation"] = 1.into();
            metadata["managedFields"] = json!([]);
            if !metadata["creationTimestamp"].is_string() {
                metadata["creationTimestamp"] = managed::now().into();
            }
        }
        managed::note(&mut object, before.as_deref(), writer);
        object["metadata"]["resourceVersion"] = (self.revision + 1).to_string().into();
        let object = Arc::new(object);
        self.objects
            .entry(resource)
            .or_default()
            .insert_mut(key.clone(), Arc::clone(&object));
        self.record(resource, key, before, Some(Arc::clone(&object)));
        object
    }

    fn record(
        &mut self,
        resource: &'static Resource,
        key: Key,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
    ) {
        self.revision += 1;
        self.history.push_back(Change {
            revision: self.revision,
            resource,
            key,
            before,
            after,
        });
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.compacted = oldest.revision;
        }
    }
}

/// `object` with one field as it is in `source`.
fn with_field(object: &Value, field: &str, source: &Value) -> Value {
    let mut object = object.clone();
    match source.get(field) {
        Some(value) => object[field] = value.clone(),
        None => {
            if let Some(map) = object.as_object_mut() {
                map.remove(field);
            }
        }
    }
    object
}
