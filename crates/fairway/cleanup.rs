//! `fairway cleanup`: the way out.

use fairway_nft::{Dataplane, FlowTable, Netlink};
use fairway_plan::{Change, Family, Transaction};

use crate::agent::AgentLock;

/// Removes fairway's tables of both families. Refuses while an agent runs: it would put them back.
pub(crate) fn cleanup() -> anyhow::Result<()> {
    let _lock = AgentLock::take()?;
    let mut netlink = Netlink::open()?;
    for family in Family::ALL {
        if !netlink.read(family)?.table {
            tracing::info!(%family, "there is nothing to remove");
            continue;
        }
        let mut transaction = Transaction::new(family);
        transaction.make.push(Change::DestroyTable);
        netlink.commit(&transaction)?;
        tracing::info!(%family, "removed fairway's table");
    }
    FlowTable::open()?.replace(&[])?;
    Ok(())
}
