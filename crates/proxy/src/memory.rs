//! How much memory is in use, and whether that is too much to take on more work.

use std::fs;
use std::path::{Path, PathBuf};

/// Where requests start to be refused, so that the kernel need not choose what to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryWatermark {
    /// In use; more is too much.
    pub bytes: u64,
    /// What is looked at.
    pub of: MemoryUser,
    /// Requests that one worker serves at once in any case, and connections from which it takes a handshake: what is in use may be anybody's, and a proxy that
    /// serves nobody is no help.
    pub requests_in_any_case: usize,
}

/// Whose memory is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryUser {
    /// This process: its resident pages. Buffers of sockets are not part of them.
    Process,
    /// A control group (version 1 or 2), by its directory: what its limit is compared with.
    Group(PathBuf),
}

/// Served in any case: about as much as one core can keep busy with.
const REQUESTS_IN_ANY_CASE: usize = 64;

impl MemoryWatermark {
    /// So many bytes of this process.
    pub fn of_process(bytes: u64) -> Self {
        Self {
            bytes,
            of: MemoryUser::Process,
            requests_in_any_case: REQUESTS_IN_ANY_CASE,
        }
    }

    /// A share, in percent, of the limit that the control group of this process has; None where it has none.
    pub fn of_limit(percent: u8) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let (directory, limit) = limit(Path::new("/sys/fs/cgroup"), &groups)?;
        Some(Self {
            bytes: limit / 100 * u64::from(percent),
            of: MemoryUser::Group(directory),
            requests_in_any_case: REQUESTS_IN_ANY_CASE,
        })
    }

    /// Whether more is in use. What cannot be read is not.
    pub(crate) fn is_exceeded(&self) -> bool {
        match &self.of {
            MemoryUser::Process => resident().is_some_and(|bytes| bytes > self.bytes),
            MemoryUser::Group(directory) => {
                let used = used(directory);
                // The second look costs the kernel more, so only where the first one tells too much.
                used.is_some_and(|used| used > self.bytes)
                    && used.is_some_and(|used| used - cached(directory).min(used) > self.bytes)
            }
        }
    }
}

fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn used(directory: &Path) -> Option<u64> {
    let files = ["memory.current", "memory.usage_in_bytes"];
    files.iter().find_map(|file| number(&directory.join(file)))
}

/// Pages of files, which the kernel takes back before it ends anything.
fn cached(directory: &Path) -> u64 {
    let text = fs::read_to_string(directory.join("memory.stat")).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    let bytes = pairs
        .filter(|(key, _)| matches!(*key, "inactive_file" | "active_file"))
        .filter_map(|(_, value)| value.parse::<u64>().ok());
    bytes.fold(0, u64::saturating_add)
}

/// The group, of those that a process is in, that has the lowest limit: its directory and limit.
fn limit(root: &Path, groups: &str) -> Option<(PathBuf, u64)> {
    let own = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let root = match controllers {
            "" => root.to_owned(),
            "memory" => root.join("memory"),
            _ => return None,
        };
        // In a namespace of its own, a container sees its group as the root.
        let own = root.join(path.trim_start_matches('/'));
        Some(if own.is_dir() { own } else { root }).filter(|own| used(own).is_some())
    })?;
    let groups = own.ancestors().take_while(|group| *group != root);
    let limits = groups.chain([root]).filter_map(|group| {
        let files = ["memory.max", "memory.limit_in_bytes"];
        let limit = files.iter().find_map(|file| number(&group.join(file)))?;
        // Version 1 says so where there is none.
        (limit < 1 << 60).then(|| (group.to_owned(), limit))
    });
    limits.min_by_key(|(_, limit)| *limit)
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, file: &str, text: &str) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join(file), text).unwrap();
    }

    #[test]
    fn the_lowest_limit_on_the_way_to_the_root_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let [pods, own] = ["pods", "pods/own"].map(|path| root.join(path));
        for (directory, limit) in [(&pods, "1000\n"), (&own, "max\n")] {
            write(directory, "memory.max", limit);
            write(directory, "memory.current", "1\n");
        }
        assert_eq!(limit(root, "0::/pods/own\n"), Some((pods.clone(), 1000)));
        write(&own, "memory.max", "500");
        assert_eq!(limit(root, "0::/pods/own\n"), Some((own, 500)));
        assert_eq!(limit(root, ""), None);
        assert_eq!(limit(root, "0::/\n"), None, "the root has neither");
    }

    #[test]
    fn version_1_and_namespaces_are_understood() {
        let root = tempfile::tempdir().unwrap();
        let memory = root.path().join("memory");
        write(&memory, "memory.usage_in_bytes", "5");
        write(&memory, "memory.limit_in_bytes", "9223372036854771712");
        let groups = "9:name=systemd:/x\n4:memory:/unseen/from/here\n";
        assert_eq!(limit(root.path(), groups), None);
        write(&memory, "memory.limit_in_bytes", "1024");
        assert_eq!(limit(root.path(), groups), Some((memory, 1024)));
    }

    #[test]
    fn pages_of_files_do_not_count() {
        let group = tempfile::tempdir().unwrap();
        let watermark = MemoryWatermark {
            of: MemoryUser::Group(group.path().to_owned()),
            ..MemoryWatermark::of_process(100)
        };
        assert!(!watermark.is_exceeded(), "there is nothing to read");
        write(group.path(), "memory.current", "101");
        assert!(watermark.is_exceeded());
        write(
            group.path(),
            "memory.stat",
            "anon 1\ninactive_file 1\nsock 5\n",
        );
        assert!(!watermark.is_exceeded());
        write(group.path(), "memory.current", "102");
        assert!(watermark.is_exceeded());
    }

    #[test]
    fn a_process_has_some() {
        assert!(MemoryWatermark::of_process(4096).is_exceeded());
        assert!(!MemoryWatermark::of_process(u64::MAX).is_exceeded());
    }
}
