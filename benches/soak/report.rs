//! The summary, and what is wrong with it.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::changes::Changes;
use crate::process::Sample;
use crate::tally::{Kind, Tally};

/// Certificates are seen by new handshakes, of which there are several between two.
const SEEN_CERTIFICATES: f64 = 0.8;

/// What the middle of a distribution may move by between the first and the last part of a run: what
/// an allocator keeps differs by as much from minute to minute.
const MORE_MEMORY: f64 = 1.05;
const MORE_MEMORY_KIB: u64 = 1024;
/// Open requests differ from moment to moment.
const MORE_FILES: u64 = 10;
/// Connections to pods that were in use last, and the like.
const FILES_LEFT: u64 = 10;

/// Everything that was measured.
pub(crate) struct Outcome {
    pub(crate) lasted: Duration,
    pub(crate) tally: Tally,
    pub(crate) changes: Changes,
    pub(crate) samples: Vec<Sample>,
    /// Before the first request.
    pub(crate) idle: Sample,
    /// Some time after the last one.
    pub(crate) after: Option<Sample>,
    pub(crate) warm_up: Option<Duration>,
}

impl Outcome {
    /// Why this run is not a good one.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = self.tally.failures.clone();
        for kind in Kind::ALL {
            match self.tally.kinds.get(&kind) {
                Some(count) if count.done > 0 && count.failed == 0 => {}
                Some(count) => complaints.push(format!("{kind:?}: {} failed", count.failed)),
                None => complaints.push(format!("{kind:?} was never tried")),
            }
        }
        let (seen, made) = (self.tally.certificates.len(), self.changes.certificates);
        if (seen as f64) < made as f64 * SEEN_CERTIFICATES {
            complaints.push(format!("of {made} certificates clients saw {seen}"));
        }
        if self.changes.lost > 0 || self.changes.seen.is_empty() {
            complaints.push(format!("{} changes were not seen", self.changes.lost));
        }
        complaints.extend(self.growth());
        complaints
    }

    fn growth(&self) -> Vec<String> {
        let mut grown = Vec::new();
        if let Some([first, last]) = self.first_and_last() {
            for (what, first, last, most) in [
                (
                    "heap and stacks, KiB",
                    first.anonymous,
                    last.anonymous,
                    (first.anonymous as f64 * MORE_MEMORY) as u64 + MORE_MEMORY_KIB,
                ),
                ("files", first.files, last.files, first.files + MORE_FILES),
                ("threads", first.threads, last.threads, first.threads),
            ] {
                if last > most {
                    grown.push(format!("{what} grew from {first} to {last}"));
                }
            }
        }
        if let Some(after) = self.after
            && after.files > self.idle.files + FILES_LEFT
        {
            let (before, after) = (self.idle.files, after.files);
            grown.push(format!("{before} files before all requests, {after} after"));
        }
        grown
    }

    /// Medians of the first quarter after the warm-up, and of the last quarter.
    fn first_and_last(&self) -> Option<[Medians; 2]> {
        let begin = self.samples.first()?.at + self.warm_up?;
        let samples = self.samples.iter().filter(|sample| sample.at >= begin);
        let samples: Vec<_> = samples.copied().collect();
        let quarter = samples.len() / 4;
        let parts = [&samples[..quarter], &samples[samples.len() - quarter..]];
        (quarter > 0).then(|| parts.map(Medians::of))
    }
}

struct Medians {
    resident: u64,
    anonymous: u64,
    files: u64,
    threads: u64,
}

impl Medians {
    fn of(samples: &[Sample]) -> Self {
        let median = |of: fn(&Sample) -> u64| {
            let mut values: Vec<_> = samples.iter().map(of).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        Self {
            resident: median(|sample| sample.memory.resident),
            anonymous: median(|sample| sample.memory.anonymous),
            files: median(|sample| sample.files),
            threads: median(|sample| sample.threads),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.lasted.as_secs_f64();
        writeln!(f, "| what | done | failed | median | 99 % | longest |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        for (kind, count) in &self.tally.kinds {
            let [median, most, longest] = percentiles(&count.latency);
            let (name, done, failed) = (kind.name(), count.done, count.failed);
            writeln!(
                f,
                "| {name} | {done} | {failed} | {median} | {most} | {longest} |"
            )?;
        }
        let changes = &self.changes;
        let all = changes.endpoints + changes.routes;
        writeln!(
            f,
            "\n{seconds:.0} s; {all} changes ({:.1} a second): {} of endpoints, {} of routes; {} \
             certificates, of which clients saw {}; {} connections; {} pods answered.",
            all as f64 / changes.lasted.as_secs_f64(),
            changes.endpoints,
            changes.routes,
            changes.certificates,
            self.tally.certificates.len(),
            self.tally.connections,
            self.tally.pods.len(),
        )?;
        let [median, most, longest] = percentiles(&changes.seen);
        writeln!(
            f,
            "From a write of an Ingress to a request that it routes: median {median}, 99 % {most}, \
             longest {longest}; {} never.",
            changes.lost,
        )?;
        self.fmt_process(f)?;
        for complaint in self.complaints() {
            writeln!(f, "\n**{complaint}**")?;
        }
        Ok(())
    }
}

impl Outcome {
    fn fmt_process(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| the agent | KiB | heap, stacks | files | threads |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: |")?;
        let mut line = |when: &str, it: Medians| {
            let (resident, anonymous, files) = (it.resident, it.anonymous, it.files);
            writeln!(
                f,
                "| {when} | {resident} | {anonymous} | {files} | {} |",
                it.threads
            )
        };
        line("before all requests", Medians::of(&[self.idle]))?;
        match self.first_and_last() {
            Some([first, last]) => {
                line("median of the first quarter after the warm-up", first)?;
                line("median of the last quarter", last)?;
            }
            None => line("median", Medians::of(&self.samples))?,
        }
        if let Some(after) = self.after {
            line("some time after the last request", Medians::of(&[after]))?;
        }
        let last = self.samples.last().map_or(self.idle.cpu, |last| last.cpu);
        let cpu = last.saturating_sub(self.idle.cpu).as_secs_f64();
        let share = cpu / self.lasted.as_secs_f64() * 100.0;
        writeln!(f, "\nThe agent took {share:.1} % of a core.")
    }
}

fn percentiles(times: &Histogram<u64>) -> [String; 3] {
    let milliseconds = |microseconds: u64| format!("{:.1} ms", microseconds as f64 / 1000.0);
    let [median, most] = [0.5, 0.99].map(|at| milliseconds(times.value_at_quantile(at)));
    [median, most, milliseconds(times.max())]
}
