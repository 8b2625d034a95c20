//! What is done between the two batches of a transaction, when nobody is sent anew to what goes, and
//! before it is gone.

use fairway_nft::{Dataplane, Error, Report};
use fairway_plan::{Planner, Transaction};

use super::clients;
use crate::agent::connections::{ConnectionCounters, counting_that_goes};

/// Commits a transaction. In between it removes clients from the outdated maps, and reads for the last
/// time what counted the connections of endpoints that are gone.
pub(super) fn commit(
    dataplane: &mut impl Dataplane,
    planner: &Planner,
    connections: Option<&ConnectionCounters>,
    transaction: &Transaction,
) -> Result<Report, Error> {
    let connections = connections.filter(|_| counting_that_goes(&transaction.release).is_some());
    if transaction.outdated.is_empty() && connections.is_none() {
        return dataplane.commit(transaction);
    }
    let family = transaction.family;
    let [make, release] = [&transaction.make, &transaction.release].map(|changes| Transaction {
        make: changes.clone(),
        ..Transaction::new(family)
    });
    let mut report = dataplane.commit(&make)?;
    if !transaction.outdated.is_empty() {
        clients::forget(dataplane, planner, family, &transaction.outdated);
    }
    if let Some(connections) = connections {
        connections.read_last(dataplane, family, &transaction.release);
    }
    let rest = dataplane.commit(&release);
    let rest = rest.map_err(|error| Error::Cleanup(error.into()))?;
    report.writes += rest.writes;
    report.refused.extend(rest.refused);
    Ok(report)
}
