use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use fairway_testkit::{ApiServer, Lab, Manifests};
use serde_json::Value;

/// How objects reach the agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// `--manifests DIR`.
    Manifests,
    /// `--kubeconfig FILE`, with a fake API server behind it.
    Api,
}

/// The objects of a cluster, in files by name, whichever way they are fed.
pub(super) struct Objects {
    /// The directory that is fed; for an API server it holds the kubeconfig.
    directory: Manifests,
    server: Option<ApiServer>,
    files: RefCell<BTreeMap<String, Vec<Value>>>,
}

impl Objects {
    pub(super) fn new(feed: Feed, lab: &Lab) -> Self {
        Self::of((feed == Feed::Api).then(|| lab.start_api_server().unwrap()))
    }

    /// Those of an API server, or else of manifests.
    pub(super) fn of(server: Option<ApiServer>) -> Self {
        let directory = Manifests::in_tempdir().unwrap();
        let objects = Self {
            directory,
            server,
            files: RefCell::default(),
        };
        if let Some(server) = &objects.server {
            server.write_kubeconfig(objects.kubeconfig()).unwrap();
        }
        objects
    }

    /// What tells `fairway run` where the objects are.
    pub(super) fn flags(&self) -> [String; 2] {
        let (flag, path) = match &self.server {
            None => ("--manifests", self.directory.path().to_owned()),
            Some(_) => ("--kubeconfig", self.kubeconfig()),
        };
        [flag.to_owned(), path.to_str().unwrap().to_owned()]
    }

    pub(super) fn directory(&self) -> &Manifests {
        &self.directory
    }

    pub(super) fn server(&self) -> &ApiServer {
        self.server.as_ref().expect("fed by manifests")
    }

    /// Makes these the objects of a file: those it had and that are not among them are deleted.
    pub(super) fn write(&self, file: &str, objects: Vec<Value>) {
        let mut files = self.files.borrow_mut();
        let before = files.insert(file.to_owned(), objects.clone());
        let Some(server) = &self.server else {
            self.directory
                .write(&format!("{file}.yaml"), &objects)
                .unwrap();
            return;
        };
        for object in &objects {
            server.apply(object.clone()).unwrap();
        }
        for gone in before.iter().flatten() {
            if objects.iter().all(|object| key(object) != key(gone)) {
                let [kind, namespace, name] = key(gone);
                assert!(server.delete(kind, namespace, name));
            }
        }
    }

    pub(super) fn all(&self) -> Vec<Value> {
        self.files.borrow().values().flatten().cloned().collect()
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }
}

fn key(object: &Value) -> [&str; 3] {
    let metadata = &object["metadata"];
    [&object["kind"], &metadata["namespace"], &metadata["name"]]
        .map(|text| text.as_str().unwrap_or_default())
}
