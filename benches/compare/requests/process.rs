//! What a process and those it started use, as the kernel counts it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, kill_process};

pub(crate) use rustix::process::Signal;

/// A process and those below it.
pub(crate) struct Tree(Vec<u32>);

impl Tree {
    /// As it is now.
    pub(crate) fn of(root: u32) -> Self {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for process in numbers {
            if let Some(parent) = parent(process) {
                children.entry(parent).or_default().push(process);
            }
        }
        let mut tree = vec![root];
        let mut at = 0;
        while let Some(process) = tree.get(at) {
            tree.extend(children.remove(process).unwrap_or_default());
            at += 1;
        }
        Self(tree)
    }

    /// CPU time of all threads that there are, to the nanosecond; that of threads that ended is not in it.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = self.0.iter().flat_map(|process| {
            let tasks = fs::read_dir(format!("/proc/{process}/task"));
            tasks.into_iter().flatten().flatten()
        });
        threads
            .filter_map(|thread| {
                let stat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
                stat.split(' ').next()?.parse().ok()
            })
            .map(Duration::from_nanos)
            .sum()
    }

    /// Memory in KiB, where pages that several processes share count once.
    pub(crate) fn memory(&self) -> u64 {
        let sizes = self.0.iter().filter_map(|process| {
            let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        });
        sizes.sum()
    }
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the last parenthesis may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

/// Sends a signal to a process that we started.
pub(crate) fn signal(process: u32, signal: Signal) -> Result<()> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    let process = process.context("a process number")?;
    Ok(kill_process(process, signal)?)
}

/// Ends a process that we started, and those below it: a master that is killed leaves its workers behind.
pub(crate) fn end(child: &mut Child) {
    let tree = Tree::of(child.id());
    for process in tree.0.into_iter().rev() {
        // Fails only when it has ended by itself.
        let _ = signal(process, Signal::KILL);
    }
    let _ = child.wait();
}
