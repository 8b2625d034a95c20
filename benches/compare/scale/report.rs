//! How much to measure, and how to show it.

use std::fmt::Write as _;
use std::time::Duration;

use fairway_testkit::usage::Memory;

use crate::plan::Effort;
use crate::report::{Figure, Section, mib, short};
use crate::scale::changes::Changes;
use crate::spread::Spread;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    /// Single changes of which the median is taken.
    pub(crate) changes: usize,
    /// The same for the peer, which takes a hundred times as long.
    pub(crate) peer_changes: usize,
    pub(crate) burst_seconds: u32,
    /// Connections by each way in each round.
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
}

impl Amount {
    pub(crate) fn of(effort: Effort) -> Self {
        match effort {
            Effort::Smoke => Self {
                changes: 3,
                peer_changes: 1,
                burst_seconds: 1,
                connections: 20,
                rounds: 2,
            },
            Effort::Quick => Self {
                changes: 31,
                peer_changes: 5,
                burst_seconds: 5,
                connections: 500,
                rounds: 10,
            },
            Effort::Full => Self {
                changes: 101,
                peer_changes: 9,
                burst_seconds: 20,
                connections: 500,
                rounds: 20,
            },
        }
    }
}

/// Both tables.
pub(crate) fn changes(measured: &[Changes], amount: Amount) -> Section {
    let mut text = format!(
        "The whole agent beside a fake API server on the same cores: a cold start is from the start of the process until it is \
         ready, a change from its write at the API server until the kernel tells of it; medians of {}, with the least and the \
         most. The peer has nothing to do with an API server: it is `nft -f -` alone; how many times as long it takes is in \
         brackets.\n\n{CHANGES_HEADER}\n",
        amount.changes
    );
    // Writing to a String does not fail.
    for changes in measured {
        let _ = writeln!(text, "{}", changes.single());
    }
    let _ = writeln!(
        text,
        "\n500 slices a second for {} seconds:\n\n{BURST_HEADER}",
        amount.burst_seconds
    );
    for changes in measured {
        let _ = writeln!(text, "{}", changes.burst());
    }
    Section {
        title: "Services, from the API server to the kernel",
        text,
        bars: Vec::new(),
        figures: measured.iter().flat_map(Changes::figures).collect(),
        charts: Vec::new(),
    }
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

const OURS: &str = "fairway";
const PEER: &str = "chain per Service, nft -f -";

fn millis_of(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// In milliseconds.
fn spread(times: &[Duration]) -> String {
    let spread = Spread::of(times.iter().map(millis_of));
    spread.map_or("-".to_owned(), |it| format!("{it} ms"))
}

/// How many times as long the peer takes, by its single changes against our median one: the two do not take turns.
fn ratio(peer: &[Duration], ours: &[Duration]) -> Option<Spread> {
    let ours = Spread::of(ours.iter().map(millis_of))?;
    Spread::of(peer.iter().map(|peer| millis_of(peer) / ours.median))
}

impl Changes {
    fn figures(&self) -> Vec<Figure> {
        let (ours, peer) = (&self.ours, self.peer.as_ref());
        let one = |time: Duration| vec![time];
        let millis = [
            (
                "cold start",
                one(ours.cold.took),
                peer.map(|it| one(it.cold)),
            ),
            ("cold start, CPU", one(ours.cold.cpu), None),
            ("warm restart", one(ours.warm.took), None),
            ("warm restart, CPU", one(ours.warm.cpu), None),
            (
                "one endpoint changed",
                ours.endpoint.clone(),
                peer.map(|it| it.endpoint.clone()),
            ),
            (
                "Service added",
                ours.service_added.clone(),
                peer.map(|it| it.service_added.clone()),
            ),
            (
                "Service removed",
                ours.service_removed.clone(),
                peer.map(|it| it.service_removed.clone()),
            ),
            ("behind after a burst", one(ours.burst.behind), None),
            (
                "CPU of an update in a burst",
                one(ours.burst.cpu / ours.burst.updates),
                None,
            ),
        ];
        let lines = millis.into_iter().flat_map(|(what, ours, peer)| {
            let what = format!("{what}, {}", self.population);
            let ratio = peer.as_deref().and_then(|peer| ratio(peer, &ours));
            [
                Figure::new(&what, "ms", OURS, ours.iter().map(millis_of)),
                peer.and_then(|peer| Figure::new(&what, "ms", PEER, peer.iter().map(millis_of))),
                ratio.map(|ratio| Figure::ratio(&what, PEER, OURS, ratio)),
            ]
        });
        lines.flatten().collect()
    }

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
            spread(&ours.endpoint),
            spread(&ours.service_added),
            spread(&ours.service_removed),
        );
        let Some(peer) = &self.peer else {
            lines.push_str("\n| | chain per Service, `nft -f -` | left out: minutes | - | | | |");
            return lines;
        };
        let with_ratio = |peer: &[Duration], ours: &[Duration]| {
            let ratio = ratio(peer, ours).map_or("-".to_owned(), |it| it.to_string());
            format!("{} [{ratio}]", spread(peer))
        };
        // Writing to a String does not fail.
        let _ = write!(
            lines,
            "\n| | chain per Service, `nft -f -` | {} | - | {} | {} | {} |",
            short(peer.cold),
            with_ratio(&peer.endpoint, &ours.endpoint),
            with_ratio(&peer.service_added, &ours.service_added),
            with_ratio(&peer.service_removed, &ours.service_removed),
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
