//! `--config`: documents of two kinds in any number of files.
//!
//! A `KubeProxyConfiguration` stands for all of kube-proxy's flags, also for those that it does not
//! mention; only `--hostname-override` and `--v` stand beside it. A `FairwayConfiguration` stands for
//! the flags that it mentions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::document::{self, Document};
use super::{FairwayConfiguration, KubeProxyConfiguration};
use crate::args::SettingsArgs;

/// The two documents that are in force, wherever they are from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Documents {
    pub(crate) kube_proxy: KubeProxyConfiguration,
    pub(crate) fairway: FairwayConfiguration,
    pub(crate) origins: Origins,
    /// What was read leniently: a sentence each.
    pub(crate) warnings: Vec<String>,
    /// Those of the `FairwayConfiguration`: what was meant may be policies that protect hosts.
    pub(crate) faults: Vec<String>,
}

/// Which files have a say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins {
    pub(crate) kube_proxy: Option<PathBuf>,
    /// With the fields that it has.
    pub(crate) fairway: Option<(PathBuf, BTreeSet<String>)>,
}

/// Why configuration files cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}: {problem}; check --config", path = path.display())]
    Read { path: PathBuf, problem: String },
    #[error("{path} is not YAML: {problem}", path = path.display())]
    Syntax { path: PathBuf, problem: String },
    #[error(
        "{path} has no configuration: expected a KubeProxyConfiguration \
         (kubeproxy.config.k8s.io/v1alpha1) or a FairwayConfiguration (fairway.dev/v1alpha1)",
        path = path.display()
    )]
    Empty { path: PathBuf },
    #[error(
        "{path} has a document of kind '{kind}' and apiVersion '{version}': expected a \
         KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) or a FairwayConfiguration \
         (fairway.dev/v1alpha1)",
        path = path.display()
    )]
    Kind {
        path: PathBuf,
        kind: String,
        version: String,
    },
    #[error("{first} and {second} both have a {kind}: there can be one", first = first.display(), second = second.display())]
    Twice {
        kind: &'static str,
        first: PathBuf,
        second: PathBuf,
    },
    #[error("{path}: {field}: {problem}", path = path.display())]
    Field {
        path: PathBuf,
        field: String,
        problem: String,
    },
}

impl Documents {
    /// Lays the files over the flags.
    pub(crate) fn of(settings: SettingsArgs) -> Result<Self, FileError> {
        let mut documents = Self {
            kube_proxy: settings.kube_proxy.of_flags(),
            fairway: settings.fairway,
            origins: Origins::default(),
            warnings: Vec::new(),
            faults: Vec::new(),
        };
        for path in &settings.config {
            let text = std::fs::read_to_string(path).map_err(|error| FileError::Read {
                path: path.clone(),
                problem: error.to_string(),
            })?;
            let found = document::parse(&text).map_err(|problem| FileError::Syntax {
                path: path.clone(),
                problem,
            })?;
            if found.is_empty() {
                return Err(FileError::Empty { path: path.clone() });
            }
            for document in found {
                documents.lay(path, document)?;
            }
        }
        Ok(documents)
    }

    fn lay(&mut self, path: &Path, document: Document) -> Result<(), FileError> {
        let Document {
            content,
            duplicates,
        } = document;
        let twice = |field| format!("{}: {field} is there twice", path.display());
        let twice: Vec<String> = duplicates.into_iter().map(twice).collect();
        let told = twice.iter().map(|line| format!("{line}; the last counts"));
        self.warnings.extend(told);
        let mut fields = match content {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let [version, kind] = ["apiVersion", "kind"].map(|field| match fields.remove(field) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        });
        match (version.as_str(), kind.as_str()) {
            (KubeProxyConfiguration::API_VERSION, KubeProxyConfiguration::KIND) => {
                self.lay_kube_proxy(path, fields)
            }
            (FairwayConfiguration::API_VERSION, FairwayConfiguration::KIND) => {
                self.faults.extend(twice);
                self.lay_fairway(path, fields)
            }
            _ => Err(FileError::Kind {
                path: path.to_owned(),
                kind,
                version,
            }),
        }
    }

    fn lay_kube_proxy(&mut self, path: &Path, fields: Map<String, Value>) -> Result<(), FileError> {
        if let Some(first) = self.origins.kube_proxy.replace(path.to_owned()) {
            return Err(FileError::Twice {
                kind: KubeProxyConfiguration::KIND,
                first,
                second: path.to_owned(),
            });
        }
        let mut content = Value::Object(fields);
        self.warn_of_unknown(path, &content, &KubeProxyConfiguration::default());
        drop_absent(&mut content);
        self.kube_proxy = decode::<KubeProxyConfiguration>(path, content)?.of_file();
        Ok(())
    }

    fn lay_fairway(&mut self, path: &Path, fields: Map<String, Value>) -> Result<(), FileError> {
        let mut content = Value::Object(fields);
        let unknown = self.warn_of_unknown(path, &content, &self.fairway.clone());
        self.faults.extend(unknown);
        drop_null(&mut content);
        let given: BTreeSet<String> = match &content {
            Value::Object(fields) => fields.keys().cloned().collect(),
            _ => BTreeSet::new(),
        };
        if let Some((first, _)) = self.origins.fairway.replace((path.to_owned(), given)) {
            return Err(FileError::Twice {
                kind: FairwayConfiguration::KIND,
                first,
                second: path.to_owned(),
            });
        }
        self.fairway =
            self.fairway
                .with(&content)
                .map_err(|(field, problem)| FileError::Field {
                    path: path.to_owned(),
                    field,
                    problem,
                })?;
        Ok(())
    }

    /// Returns what it warned of.
    fn warn_of_unknown(
        &mut self,
        path: &Path,
        content: &Value,
        known: &impl Serialize,
    ) -> Vec<String> {
        let mut unknown = Vec::new();
        // Serialized, a configuration has all its fields, whether they are set or not.
        if let Ok(known) = serde_json::to_value(known) {
            find_unknown(content, &known, "", &mut unknown);
        }
        for field in &mut unknown {
            *field = format!("{}: no field {field}", path.display());
        }
        let told = unknown.iter().map(|line| format!("{line}: it is ignored"));
        self.warnings.extend(told);
        unknown
    }
}

/// Decodes; an error names the field.
pub(super) fn decode_field<T: DeserializeOwned>(content: Value) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(content).map_err(|error| {
        let field = error.path().to_string();
        (field, error.into_inner().to_string())
    })
}

fn decode<T: DeserializeOwned>(path: &Path, content: Value) -> Result<T, FileError> {
    decode_field(content).map_err(|(field, problem)| FileError::Field {
        path: path.to_owned(),
        field,
        problem,
    })
}

fn find_unknown(content: &Value, known: &Value, path: &str, unknown: &mut Vec<String>) {
    // Where nothing is known, as below feature gates, anything may be.
    let (Value::Object(content), Value::Object(known)) = (content, known) else {
        return;
    };
    for (key, value) in content {
        let path = match path {
            "" => key.clone(),
            parent => format!("{parent}.{key}"),
        };
        match known.get(key) {
            Some(known) => find_unknown(value, known, &path, unknown),
            None => unknown.push(path),
        }
    }
}

/// Null is what Go writes for what is not there.
pub(super) fn drop_null(value: &mut Value) {
    drop_if(value, &|value| value.is_null());
}

/// An empty text counts as absent, too: that is how kube-proxy's defaults work.
fn drop_absent(value: &mut Value) {
    drop_if(value, &|value| {
        value.is_null() || value.as_str() == Some("")
    });
}

fn drop_if(value: &mut Value, is_absent: &impl Fn(&Value) -> bool) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !is_absent(value));
        for value in fields.values_mut() {
            drop_if(value, is_absent);
        }
    }
}
