//! Figures of requests as pictures.

use super::{Figures, Memory, PERCENTS, spread};
use crate::chart::bars::{self, Group};
use crate::report::Chart;
use crate::requests::peers::Peer;
use crate::requests::scenario::Scenario;

impl Figures {
    pub(super) fn charts(&self) -> Vec<Chart> {
        vec![self.cpu_chart(), self.latency_chart(), self.memory_chart()]
    }

    fn latency_chart(&self) -> Chart {
        let rates = [
            ("at the own rate", &self.at_own_rate),
            ("at the same rate", &self.at_common_rate),
        ];
        let groups = rates.into_iter().flat_map(|(name, rounds)| {
            PERCENTS.map(|percent| Group {
                label: format!("p{percent} {name}"),
                values: Peer::ALL
                    .iter()
                    .map(|peer| Some(spread(rounds.get(peer)?, percent)?.median))
                    .collect(),
            })
        });
        let title = "Latency at 70 % of the own most, and at one rate for all, the least = 1";
        peers_chart("latency", title, groups.collect())
    }

    fn memory_chart(&self) -> Chart {
        let group = |label: &str, of: fn(&Memory) -> u64| Group {
            label: label.to_owned(),
            values: Peer::ALL
                .iter()
                .map(|peer| Some(of(self.memory.get(peer)?) as f64))
                .collect(),
        };
        let groups = vec![
            group("without connections", |memory| memory.without),
            group("with idle connections", |memory| memory.with_clear),
            group("with idle connections, TLS", |memory| memory.with_tls),
        ];
        peers_chart("memory", "Memory, the least = 1", groups)
    }

    fn cpu_chart(&self) -> Chart {
        let groups = Scenario::all().map(|scenario| Group {
            label: scenario.name().to_owned(),
            values: Peer::ALL
                .iter()
                .map(|peer| self.median(scenario, *peer).map(|it| it.micros()))
                .collect(),
        });
        let title = "CPU time by request, the cheapest = 1";
        peers_chart("requests", title, groups.collect())
    }
}

fn peers_chart(name: &'static str, title: &'static str, groups: Vec<Group>) -> Chart {
    Chart {
        name,
        title,
        svg: bars::draw(title, &Peer::ALL.map(Peer::name), &groups),
    }
}
