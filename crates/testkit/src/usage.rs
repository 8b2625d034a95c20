//! What a process uses, as the kernel counts it.
//!
//! Whoever asks about a process has started it and knows that it lives: all of this panics when it does not.

use std::fs;
use std::time::{Duration, Instant};

/// Memory in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// In use now, pages of the program's file included.
    pub resident: u64,
    /// Of that, what is not a page of a file: heap and stacks.
    pub anonymous: u64,
    /// The most that was ever in use.
    pub peak: u64,
}

impl Memory {
    /// As it is now.
    ///
    /// # Panics
    ///
    /// When there is no such process.
    pub fn of(process: u32) -> Self {
        let status = read(process, "status");
        let field = |name| field(process, &status, name);
        Self {
            resident: field("VmRSS"),
            anonymous: field("RssAnon"),
            peak: field("VmHWM"),
        }
    }

    /// Once as much is in use as two seconds before.
    ///
    /// # Panics
    ///
    /// When there is no such process.
    pub fn settled(process: u32) -> Self {
        let mut last = (Instant::now(), Self::of(process));
        while last.0.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(100));
            let now = Self::of(process);
            if now.resident != last.1.resident {
                last = (Instant::now(), now);
            }
        }
        last.1
    }
}

/// CPU time, user and system, of all threads since it started; in steps of 10 ms.
///
/// # Panics
///
/// When there is no such process.
pub fn cpu(process: u32) -> Duration {
    let stat = read(process, "stat");
    // The name before the last parenthesis may hold anything.
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks = ticks.map(|ticks| ticks.parse::<u64>().expect("a number of ticks"));
    // Linux shows 100 ticks a second on every architecture.
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// How many threads there are.
///
/// # Panics
///
/// When there is no such process.
pub fn threads(process: u32) -> u64 {
    field(process, &read(process, "status"), "Threads")
}

/// How many files are open, sockets included.
///
/// # Panics
///
/// When there is no such process.
pub fn open_files(process: u32) -> u64 {
    let path = format!("/proc/{process}/fd");
    let files = fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    files.count() as u64
}

fn field(process: u32, status: &str, name: &str) -> u64 {
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("/proc/{process}/status has no {name}"))
}

fn read(process: u32, file: &str) -> String {
    let path = format!("/proc/{process}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
