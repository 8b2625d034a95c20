//! What the agent uses, as the kernel counts it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// At one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// In KiB.
    pub(crate) resident: u64,
    /// Of that, heap and stacks.
    pub(crate) anonymous: u64,
    pub(crate) files: u64,
    pub(crate) threads: u64,
    /// User and system, since it started.
    pub(crate) cpu: Duration,
}

impl Sample {
    pub(crate) fn of(process: u32) -> Self {
        let status = read(process, "status");
        let field = |name: &str| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or_else(|| panic!("/proc/{process}/status has no {name}"))
        };
        let files = fs::read_dir(format!("/proc/{process}/fd")).expect("its open files");
        let stat = read(process, "stat");
        // The name before the last parenthesis may hold anything.
        let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks = ticks.map(|ticks| ticks.parse::<u64>().expect("a number of ticks"));
        Self {
            at: Instant::now(),
            resident: field("VmRSS"),
            anonymous: field("RssAnon"),
            files: files.count() as u64,
            threads: field("Threads"),
            // Linux shows 100 ticks a second on every architecture.
            cpu: Duration::from_millis(ticks.sum::<u64>() * 10),
        }
    }
}

/// A sample each second.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    samples: JoinHandle<Vec<Sample>>,
}

impl Watch {
    pub(crate) fn start(process: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let samples = std::thread::spawn(move || {
            let mut samples = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                samples.push(Sample::of(process));
                std::thread::sleep(Duration::from_secs(1));
            }
            samples
        });
        Self { stop, samples }
    }

    pub(crate) fn finish(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Release);
        self.samples.join().expect("the process lives")
    }
}

fn read(process: u32, file: &str) -> String {
    let path = format!("/proc/{process}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
