//! What the agent uses, second by second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fairway_testkit::usage::{self, Memory};

/// At one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) memory: Memory,
    pub(crate) files: u64,
    pub(crate) threads: u64,
    /// User and system, since it started.
    pub(crate) cpu: Duration,
}

impl Sample {
    pub(crate) fn of(process: u32) -> Self {
        Self {
            at: Instant::now(),
            memory: Memory::of(process),
            files: usage::open_files(process),
            threads: usage::threads(process),
            cpu: usage::cpu(process),
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
