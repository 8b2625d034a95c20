use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use super::ApiServer;
use super::resource::Resource;
use super::store::{Key, Writer};

/// The objects, by hand: no request is counted, no fault strikes.
impl ApiServer {
    /// Creates an object or replaces it whole, status included, or every item of a `List`.
    /// A namespaced object without a namespace is put into `default`.
    ///
    /// # Errors
    ///
    /// When the kind is not known or the object has no name.
    pub fn apply(&self, object: Value) -> anyhow::Result<()> {
        if let (Some(kind), Value::Array(items)) = (object["kind"].as_str(), &object["items"])
            && kind.ends_with("List")
        {
            return items.iter().cloned().try_for_each(|item| self.apply(item));
        }
        let Some(resource) = Resource::of(&object) else {
            bail!(
                "kind {} of {} is not served",
                object["kind"],
                object["apiVersion"]
            );
        };
        let metadata = &object["metadata"];
        let name = metadata["name"]
            .as_str()
            .context("metadata.name is missing")?;
        let key = key(
            resource,
            metadata["namespace"].as_str().unwrap_or_default(),
            name,
        );
        let writer = Writer {
            manager: "test",
            operation: "Update",
            status: false,
        };
        self.shared
            .change(|store| store.write(resource, key, object, writer));
        Ok(())
    }

    /// Applies every document of a YAML text.
    ///
    /// # Errors
    ///
    /// When the text is not YAML, or as [`apply`](Self::apply).
    pub fn apply_yaml(&self, text: &str) -> anyhow::Result<()> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
        documents
            .into_iter()
            .filter(|document| !document.is_null())
            .try_for_each(|document| self.apply(document))
    }

    /// Applies every `.yaml`, `.yml` and `.json` file of a directory and those below it, in the order
    /// of their names.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or as [`apply_yaml`](Self::apply_yaml).
    pub fn apply_directory(&self, directory: impl AsRef<Path>) -> anyhow::Result<()> {
        let directory = directory.as_ref();
        let mut entries: Vec<_> = std::fs::read_dir(directory)
            .and_then(Iterator::collect::<Result<_, _>>)
            .with_context(|| format!("reading {}", directory.display()))?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for path in entries.into_iter().map(|entry| entry.path()) {
            if path.is_dir() {
                self.apply_directory(&path)?;
                continue;
            }
            let extension = path.extension().unwrap_or_default();
            if ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension == *known)
            {
                let text = std::fs::read_to_string(&path);
                text.map_err(anyhow::Error::from)
                    .and_then(|text| self.apply_yaml(&text))
                    .with_context(|| format!("applying {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Deletes an object, given its kind as in manifests. Returns whether it was there.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> bool {
        Resource::by_kind(kind).is_some_and(|resource| {
            let key = key(resource, namespace, name);
            self.shared
                .change(|store| store.delete(resource, &key))
                .is_ok()
        })
    }

    /// An object as it is now, for example with a status that somebody wrote.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let resource = Resource::by_kind(kind)?;
        let key = key(resource, namespace, name);
        self.shared
            .store()
            .get(resource, &key)
            .map(|object| object.as_ref().clone())
    }

    /// The Events (of `events.k8s.io`) with a reason, by namespace and name.
    pub fn events(&self, reason: &str) -> Vec<Value> {
        let events = Resource::by_path("events.k8s.io", "v1", "events");
        let events = events.map(|resource| self.shared.store().objects(resource));
        let events = events.iter().flat_map(|events| events.values());
        let events = events.filter(|event| event["reason"] == reason);
        events.map(|event| event.as_ref().clone()).collect()
    }

    /// All objects of a kind, by namespace and name.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let Some(resource) = Resource::by_kind(kind) else {
            return Vec::new();
        };
        let objects = self.shared.store().objects(resource);
        objects
            .values()
            .map(|object| object.as_ref().clone())
            .collect()
    }
}

fn key(resource: &Resource, namespace: &str, name: &str) -> Key {
    let namespace = match (resource.namespaced, namespace) {
        (false, _) => "",
        (true, "") => "default",
        (true, namespace) => namespace,
    };
    Key {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}
