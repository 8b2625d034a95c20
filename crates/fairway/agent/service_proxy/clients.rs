//! Clients that stay with their endpoint: packets store them, and here those are removed whose
//! endpoint is not theirs any more.

use std::collections::BTreeSet;
use std::time::Duration;

use fairway_nft::Dataplane;
use fairway_plan::{Family, SetName};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::causes::with_causes;

use super::ServiceProxy;

/// A packet is checked and stored by one rule. The pause is for the processor that was stopped in
/// between, by its hypervisor or by its owner.
const LATE: Duration = Duration::from_secs(1);

/// When to look again, and into which maps.
pub(super) struct Latecomers {
    pub(super) at: Instant,
    maps: BTreeSet<SetName>,
}

impl<D: Dataplane> ServiceProxy<D> {
    /// Removes the outdated clients of these maps, now and a little later.
    pub(super) fn forget_clients(&mut self, family: Family, maps: &BTreeSet<SetName>) {
        if maps.is_empty() {
            return;
        }
        self.forget_once(family, maps);
        let mut states = self.families.iter_mut();
        if let Some(state) = states.find(|state| state.family == family) {
            let latecomers = state.latecomers.get_or_insert_with(|| Latecomers {
                at: Instant::now(),
                maps: BTreeSet::new(),
            });
            latecomers.at = Instant::now() + LATE;
            latecomers.maps.extend(maps);
        }
    }

    /// Removes those that came while the others were removed, if it is time.
    pub(super) fn forget_latecomers(&mut self, index: usize, now: Instant) {
        let state = &mut self.families[index];
        let family = state.family;
        let latecomers = state.latecomers.take_if(|latecomers| latecomers.at <= now);
        if let Some(latecomers) = latecomers {
            self.forget_once(family, &latecomers.maps);
        }
    }

    fn forget_once(&mut self, family: Family, maps: &BTreeSet<SetName>) {
        let mut clients = Vec::new();
        for map in maps {
            match self.dataplane.elements(family, *map) {
                Ok(elements) => clients.extend(elements),
                Err(error) => {
                    let reason = with_causes(&error);
                    warn!(%family, %map, reason, "could not read which clients stay with an endpoint");
                }
            }
        }
        let transaction = self.planner.forget(family, &clients);
        if transaction.is_empty() {
            return;
        }
        debug!(%family, clients = transaction.make.len(), "clients are free to go elsewhere");
        if let Err(error) = self.dataplane.commit(&transaction) {
            let reason = with_causes(&error);
            warn!(%family, reason, "could not forget clients of endpoints that are gone");
        }
    }
}
