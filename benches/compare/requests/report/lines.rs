//! Figures of requests for programs.

use super::{Figures, OURS, PERCENTS, micros, spread};
use crate::report::Figure;
use crate::requests::peers::Peer;
use crate::requests::scenario::Measured;
use crate::spread::Spread;

impl Figures {
    pub(super) fn lines(&self) -> Vec<Figure> {
        let mut lines = Vec::new();
        for ((scenario, peer), rounds) in &self.loads {
            let (what, who) = (scenario.name(), peer.name());
            let cpu = format!("{what}, CPU");
            lines.extend(Figure::new(
                &cpu,
                "us",
                who,
                rounds.iter().map(Measured::micros),
            ));
            lines.extend(Figure::new(
                what,
                "1/s",
                who,
                rounds.iter().map(|it| it.rate),
            ));
            let failed = rounds.iter().map(|it| it.failed as f64);
            lines.extend(Figure::new(&format!("{what}, failed"), "1", who, failed));
            if *peer != Peer::Fairway {
                let ratio = self.ratio(*scenario, &[*peer]);
                let name = Peer::Fairway.name();
                lines.extend(ratio.map(|it| Figure::ratio(&cpu, name, who, it)));
            }
        }
        let common = format!("{:.0}/s", self.common_rate);
        for (peers, rate) in [(&self.at_own_rate, "70 %"), (&self.at_common_rate, &common)] {
            for (peer, rounds) in peers {
                for percent in PERCENTS {
                    let what = format!("p{percent} at {rate}");
                    let found = spread(rounds, percent);
                    lines.extend(found.map(|it| Figure::of(&what, "us", peer.name(), it)));
                }
            }
            for percent in PERCENTS {
                let what = format!("p{percent} at {rate}");
                let ratio = Self::slow_ratio(peers, percent);
                lines.extend(ratio.map(|it| Figure::ratio(&what, OURS, "best peer", it)));
            }
        }
        for (peer, memory) in &self.memory {
            let of = [
                ("without connections", memory.without),
                ("idle connections in clear text", memory.with_clear),
                ("idle connections with TLS", memory.with_tls),
            ];
            let ours = self.memory.get(&Peer::Fairway);
            let ours = ours.map(|ours| [ours.without, ours.with_clear, ours.with_tls]);
            for (number, (what, kib)) in of.into_iter().enumerate() {
                let what = format!("memory, {what}");
                lines.extend(Figure::new(&what, "KiB", peer.name(), [kib as f64]));
                if let (Some(ours), true) = (ours, *peer != Peer::Fairway) {
                    let ratio = Spread::of([ours[number] as f64 / kib as f64]);
                    lines.extend(ratio.map(|it| Figure::ratio(&what, OURS, peer.name(), it)));
                }
            }
        }
        for (peer, change) in &self.changes {
            let served = change.until_served.iter().map(|it| it.as_secs_f64() * 1e3);
            let what = "one of 10,000 hosts changed, until served";
            lines.extend(Figure::new(what, "ms", peer.name(), served));
            let others = [
                ("p99 of others before", "us", micros(&change.calm, 99.0)),
                (
                    "p99 of others meanwhile",
                    "us",
                    micros(&change.meanwhile, 99.0),
                ),
                ("failed meanwhile", "1", change.meanwhile.failed as f64),
            ];
            for (what, unit, value) in others {
                let what = format!("one of 10,000 hosts changed, {what}");
                lines.extend(Figure::new(&what, unit, peer.name(), [value]));
            }
            if let (Some(ratio), true) = (self.served_ratio(*peer), *peer != Peer::Fairway) {
                lines.push(Figure::ratio(what, OURS, peer.name(), ratio));
            }
        }
        lines
    }

    /// How long fairway takes until a change is served by how long a peer takes, change by change.
    fn served_ratio(&self, peer: Peer) -> Option<Spread> {
        let [ours, theirs] = [Peer::Fairway, peer].map(|peer| self.changes.get(&peer));
        let pairs = ours?.until_served.iter().zip(&theirs?.until_served);
        Spread::of(pairs.map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64()))
    }
}
