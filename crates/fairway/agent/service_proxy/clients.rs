//! Clients that stay with their endpoint: packets store them, and here those are removed whose
//! endpoint is not theirs any more.

use std::collections::BTreeSet;
use std::time::Duration;

use fairway_nft::Dataplane;
use fairway_plan::{Family, Planner, SetName};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::causes::with_causes;

use super::ServiceProxy;
use super::family::FamilyState;

/// A packet is checked and stored by one rule. The pause is for the processor that was stopped in
/// between, by its hypervisor or by its owner.
const LATE: Duration = Duration::from_secs(1);

/// When to look again, and into which maps.
pub(super) struct Latecomers {
    pub(super) at: Instant,
    maps: BTreeSet<SetName>,
}

impl<D: Dataplane> ServiceProxy<D> {
    /// Removes clients that came while others were removed, if it is time.
    pub(super) fn forget_latecomers(&mut self, index: usize, now: Instant) {
        let state = &mut self.families[index];
        let family = state.family;
        let latecomers = state.latecomers.take_if(|latecomers| latecomers.at <= now);
        if let Some(Latecomers { maps, .. }) = latecomers {
            forget(&mut self.dataplane, &self.planner, family, &maps);
        }
    }
}

impl FamilyState {
    /// Looks into these maps again later.
    pub(super) fn expect_latecomers(&mut self, maps: &BTreeSet<SetName>) {
        if maps.is_empty() {
            return;
        }
        let at = Instant::now() + LATE;
        let maps = maps.clone();
        match &mut self.latecomers {
            Some(latecomers) => {
                latecomers.at = at;
                latecomers.maps.extend(maps);
            }
            none => *none = Some(Latecomers { at, maps }),
        }
    }
}

/// Removes clients from these maps whose endpoint is not theirs any more.
pub(super) fn forget(
    dataplane: &mut impl Dataplane,
    planner: &Planner,
    family: Family,
    maps: &BTreeSet<SetName>,
) {
    let mut clients = Vec::new();
    for map in maps {
        match dataplane.elements(family, *map) {
            Ok(elements) => clients.extend(elements),
            Err(error) => {
                let reason = with_causes(&error);
                warn!(%family, %map, reason, "could not read which clients stay with an endpoint");
            }
        }
    }
    let transaction = planner.forget(family, &clients);
    if transaction.is_empty() {
        return;
    }
    debug!(%family, clients = transaction.make.len(), "clients are free to go elsewhere");
    if let Err(error) = dataplane.commit(&transaction) {
        let reason = with_causes(&error);
        warn!(%family, reason, "could not forget clients of endpoints that are gone");
    }
}
