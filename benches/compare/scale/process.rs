//! What a process uses, as the kernel counts it.

use std::fs;
use std::time::{Duration, Instant};

/// Memory in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// In use now, pages of the program's file included.
    pub(crate) resident: u64,
    /// Of that, what is not a page of a file: heap and stacks.
    pub(crate) anonymous: u64,
    /// The most that was ever in use.
    pub(crate) peak: u64,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Self {
        let status = read(process, "status");
        let field = |name: &str| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or_else(|| panic!("/proc/{process}/status has no {name}"))
        };
        Self {
            resident: field("VmRSS"),
            anonymous: field("RssAnon"),
            peak: field("VmHWM"),
        }
    }

    /// Once it has not changed for two seconds.
    pub(crate) fn settled(process: u32) -> Self {
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

/// CPU time, user and system, of all threads.
pub(crate) fn cpu(process: u32) -> Duration {
    let stat = read(process, "stat");
    // The name before the last parenthesis may hold anything.
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let mut ticks = fields.split(' ').skip(11).take(2);
    let mut next = || -> u64 {
        let field = ticks.next().expect("user and system time");
        field.parse().expect("a number of ticks")
    };
    // Linux shows 100 ticks a second on every architecture.
    Duration::from_millis((next() + next()) * 10)
}

fn read(process: u32, file: &str) -> String {
    let path = format!("/proc/{process}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
