//! A directory of manifests, as `fairway run --manifests` reads it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

/// A directory whose files change as a whole: a reader sees the old content or the new one.
#[derive(Debug)]
pub struct Manifests {
    path: PathBuf,
    /// Removes the directory in the end, if it is a temporary one.
    _owned: Option<TempDir>,
}

impl Manifests {
    /// A new, empty directory; removed when this is dropped.
    ///
    /// # Errors
    ///
    /// When the system's directory for temporary files cannot be written.
    pub fn in_tempdir() -> Result<Self> {
        let owned = tempfile::Builder::new().prefix("manifests-").tempdir();
        let owned = owned.context("cannot make a temporary directory")?;
        Ok(Self {
            path: owned.path().to_owned(),
            _owned: Some(owned),
        })
    }

    /// A directory that exists already.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            _owned: None,
        }
    }

    /// What to pass to `--manifests`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes, or replaces, a file of several documents.
    ///
    /// They are written as JSON, which every YAML reader reads.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, file: &str, objects: &[Value]) -> Result<()> {
        let documents = objects.iter().map(|object| format!("---\n{object:#}\n"));
        self.write_text(file, &documents.collect::<String>())
    }

    /// Writes, or replaces, a file with any content.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_text(&self, file: &str, text: &str) -> Result<()> {
        let write = || {
            // In the same directory, or it could not be renamed; and without a suffix that is read.
            let mut new = NamedTempFile::with_prefix_in(".", &self.path)?;
            new.write_all(text.as_bytes())?;
            new.persist(self.path.join(file))?;
            anyhow::Ok(())
        };
        write().with_context(|| format!("cannot write {file} to {}", self.path.display()))
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub fn remove(&self, file: &str) -> Result<()> {
        let path = self.path.join(file);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_are_replaced_and_removed_and_leave_nothing_else() {
        let manifests = Manifests::in_tempdir().unwrap();
        let path = manifests.path().to_owned();
        manifests.write("a.yaml", &[json!({"kind": "A"})]).unwrap();
        let objects = [json!({"kind": "B"}), json!({"kind": "C"})];
        manifests.write("a.yaml", &objects).unwrap();
        let files: Vec<_> = fs::read_dir(&path).unwrap().collect();
        assert_eq!(files.len(), 1);

        let text = fs::read_to_string(path.join("a.yaml")).unwrap();
        let read: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        assert_eq!(read, objects);

        manifests.remove("a.yaml").unwrap();
        assert!(manifests.remove("a.yaml").is_err());
        drop(manifests);
        assert!(!path.exists());
    }
}
