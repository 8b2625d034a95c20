//! How much to measure, and how to print it: as Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use crate::changes::Changes;
use crate::process::Memory;

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Once, to see that it works.
    Quick,
    Full,
}

impl Effort {
    /// Single changes of which the median is taken.
    pub(crate) fn changes(self) -> usize {
        match self {
            Self::Quick => 3,
            Self::Full => 101,
        }
    }

    /// The same for the peer, which takes a hundred times as long.
    pub(crate) fn peer_changes(self) -> usize {
        match self {
            Self::Quick => 1,
            Self::Full => 9,
        }
    }

    pub(crate) fn burst_seconds(self) -> u32 {
        match self {
            Self::Quick => 1,
            Self::Full => 20,
        }
    }

    /// Connections by each way in each round.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Quick => 20,
            Self::Full => 500,
        }
    }

    pub(crate) fn rounds(self) -> usize {
        match self {
            Self::Quick => 2,
            Self::Full => 20,
        }
    }
}

pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

pub(crate) const MEMORY_HEADER: &str = "\
| objects | fed by | resident, settled | of that heap and stacks | peak |
| --- | --- | ---: | ---: | ---: |";

pub(crate) fn memory(objects: &str, feed: &str, memory: Memory) -> String {
    let Memory {
        resident,
        anonymous,
        peak,
    } = memory;
    format!(
        "| {objects} | {feed} | {} | {} | {} |",
        mib(resident),
        mib(anonymous),
        mib(peak)
    )
}

pub(crate) const CHANGES_HEADER: &str = "\
| Services x endpoints | | cold start | warm restart | one endpoint | Service added | Service removed |
| --- | --- | ---: | ---: | ---: | ---: | ---: |";

pub(crate) const BURST_HEADER: &str = "\
| Services x endpoints | updates | kernel commits | behind at the end | CPU | CPU an update | resident | peak |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

impl Changes {
    /// Lines under [`CHANGES_HEADER`].
    pub(crate) fn single(&self) -> String {
        let ours = &self.ours;
        let mut lines = format!(
            "| {} | fairway | {} (CPU {}) | {} (CPU {}, {} commits) | {} | {} | {} |",
            self.population,
            short(ours.cold.took),
            short(ours.cold.cpu),
            short(ours.warm.took),
            short(ours.warm.cpu),
            ours.warm_commits,
            short(ours.endpoint),
            short(ours.service_added),
            short(ours.service_removed),
        );
        let Some(peer) = &self.peer else {
            lines.push_str("\n| | chain per Service, `nft -f -` | left out: minutes | - | | | |");
            return lines;
        };
        let with_ratio = |peer: Duration, ours: Duration| {
            let ratio = peer.as_secs_f64() / ours.as_secs_f64();
            format!("{} ({ratio:.1}x)", short(peer))
        };
        // Writing to a String does not fail.
        let _ = write!(
            lines,
            "\n| | chain per Service, `nft -f -` | {} | - | {} | {} | {} |",
            with_ratio(peer.cold, ours.cold.took),
            with_ratio(peer.endpoint, ours.endpoint),
            with_ratio(peer.service_added, ours.service_added),
            with_ratio(peer.service_removed, ours.service_removed),
        );
        lines
    }

    /// A line under [`BURST_HEADER`].
    pub(crate) fn burst(&self) -> String {
        let burst = &self.ours.burst;
        format!(
            "| {} | {} in {:.0} s | {} | {} | {} | {} | {} | {} |",
            self.population,
            burst.updates,
            burst.lasted.as_secs_f64(),
            burst.commits,
            short(burst.behind),
            short(burst.cpu),
            short(burst.cpu / burst.updates),
            mib(self.ours.memory.resident),
            mib(self.ours.memory.peak),
        )
    }
}

pub(crate) fn short(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 1e-3 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{:.0} us", seconds * 1e6),
    }
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
