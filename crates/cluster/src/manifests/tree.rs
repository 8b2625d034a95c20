use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A change so soon after another may leave the same time stamp (kernels without fine-grained
/// ones tick every 4 to 10 ms), so a stamp this young proves nothing.
const YOUNG: Duration = Duration::from_millis(50);

/// The manifest files below a directory at one moment.
///
/// Names that begin with a dot are passed over: editors and version control keep theirs so, and in
/// a mounted ConfigMap the real files are behind `..data`, to which visible links lead.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Files by path, with what tells whether they changed.
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    /// What could not be looked at, and why. Nothing is known about what is below.
    pub(super) unreadable: BTreeMap<PathBuf, String>,
    /// Directories whose changes may change the tree, without symbolic links.
    pub(super) directories: BTreeSet<PathBuf>,
}

/// Identity and age of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Whether an equal stamp later means equal content.
    pub(super) fn is_settled(&self) -> bool {
        // Set by the kernel at every change, unlike the time of modification, which tools set.
        let (seconds, nanoseconds) = self.changed;
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(seconds), u32::try_from(nanoseconds))
        else {
            return true;
        };
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        let age = SystemTime::now().duration_since(changed);
        // A stamp from the future says as little as a young one.
        age.is_ok_and(|age| age > YOUNG)
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Tree {
    /// Looks at everything below a directory. `before_listing` is told of each directory before it
    /// is listed: who begins to watch it then misses nothing.
    pub(super) fn read(root: &Path, mut before_listing: impl FnMut(&Path)) -> Self {
        let mut tree = Self::default();
        let mut waiting = vec![root.to_owned()];
        while let Some(directory) = waiting.pop() {
            let listed = tree.list(&directory, &mut before_listing, &mut waiting);
            if let Err(error) = listed {
                tree.unreadable.insert(directory, error.to_string());
            }
        }
        tree
    }

    fn list(
        &mut self,
        directory: &Path,
        before_listing: &mut impl FnMut(&Path),
        waiting: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let real = fs::canonicalize(directory)?;
        if self.directories.contains(&real) {
            return Ok(()); // a link back, or a second way to the same place
        }
        before_listing(&real);
        self.directories.insert(real);

        let mut below = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            if entry.file_type()?.is_symlink() {
                self.follow_link(&path, before_listing);
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => below.push(path),
                // Not pipes and devices: reading them may never end.
                Ok(metadata) if metadata.is_file() && is_manifest(&path) => {
                    self.files.insert(path, Stamp::from(&metadata));
                }
                Ok(_) => {}
                // Gone between listing and looking, or a link that leads nowhere.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if is_manifest(&path) => {
                    self.unreadable.insert(path, error.to_string());
                }
                Err(_) => {}
            }
        }
        // The last is visited first: of two ways to one place, the first by name counts.
        below.sort_unstable_by(|a, b| b.cmp(a));
        waiting.extend(below);
        Ok(())
    }

    /// A linked file changes where it really is.
    fn follow_link(&mut self, path: &Path, before_listing: &mut impl FnMut(&Path)) {
        let real = fs::canonicalize(path).ok().filter(|real| real.is_file());
        if let Some(parent) = real.as_deref().and_then(Path::parent) {
            before_listing(parent);
        }
    }
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}
