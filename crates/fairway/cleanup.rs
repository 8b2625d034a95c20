//! `fairway cleanup`: the way out, and of kube-proxy the way in.

mod kube_proxy;

use fairway_nft::{Dataplane, FlowTable, Netlink};
use fairway_plan::{Change, Family, Transaction};

use crate::agent::AgentLock;

/// What is to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cleanup {
    /// What fairway programmed.
    Fairway,
    /// What kube-proxy left.
    KubeProxy {
        /// Only say what there is.
        dry_run: bool,
    },
}

pub(crate) fn cleanup(what: Cleanup) -> anyhow::Result<()> {
    match what {
        Cleanup::Fairway => fairway(),
        Cleanup::KubeProxy { dry_run } => kube_proxy::remove(dry_run),
    }
}

/// Removes fairway's tables of both families. Refuses while an agent runs: it would put them back.
fn fairway() -> anyhow::Result<()> {
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
