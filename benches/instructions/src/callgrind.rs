//! Runs one piece of work in valgrind and reads what its callgrind counted.

use std::io;
use std::path::Path;
use std::process::Command;

/// Nothing was counted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Most likely it is not installed.
    #[error("cannot run valgrind: is Debian's valgrind installed?")]
    Start(#[source] io::Error),
    /// The work panicked, or valgrind does not know an instruction of this processor.
    #[error("{work} did not run to its end in valgrind, which says:\n{output}")]
    Work {
        /// Which.
        work: String,
        /// Both outputs.
        output: String,
    },
    /// The file is missing, or not what is expected.
    #[error("callgrind counted nothing for {0}: was `counted` inlined?")]
    Nothing(String),
}

/// The instructions of `work`: `program` is started with `--one WORK`, and what happens within its function
/// `counted_by_callgrind` counts. `file` is written.
pub fn count(program: &Path, work: &str, file: &Path) -> Result<u64, Error> {
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        // Its name is mangled, in one way or another.
        .arg("--toggle-collect=*counted_by_callgrind*")
        .arg(format!("--callgrind-out-file={}", file.display()));
    let output = command.arg(program).args(["--one", work]).output();
    let output = output.map_err(Error::Start)?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        return Err(Error::Work {
            work: work.to_owned(),
            output: String::from_utf8_lossy(&text).into_owned(),
        });
    }
    let profile = std::fs::read_to_string(file).unwrap_or_default();
    let count = summary(&profile).filter(|count| *count > 0);
    count.ok_or_else(|| Error::Nothing(work.to_owned()))
}

/// The first column of the summary, which is of instructions.
fn summary(profile: &str) -> Option<u64> {
    let mut lines = profile.lines();
    let line = lines.find_map(|line| line.strip_prefix("summary:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_found_in_a_profile() {
        let profile = "version: 1\npid: 7\n\nevents: Ir\nsummary: 6007\n\nfn=(1) x\n0 12\n";
        assert_eq!(summary(profile), Some(6007));
        assert_eq!(summary("version: 1\n"), None);
    }
}
