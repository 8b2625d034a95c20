//! `fairway cleanup --kube-proxy`: what kube-proxy left on this node, whatever mode it ran in, and nobody else's.

mod legacy;
mod running;

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use fairway_nft::leftovers::{Leftovers, address_sets};
use fairway_nft::{Dataplane, Netlink};
use fairway_plan::Family;
use futures_util::TryStreamExt;
use tracing::{info, warn};

/// The device that mode ipvs has the addresses of Services on.
const DEVICE: &str = "kube-ipvs0";

/// Removes it while fairway's own rules are there, so that no Service is without any. An agent may run.
pub(crate) fn remove(dry_run: bool) -> anyhow::Result<()> {
    if let Some(sign) = running::sign()? {
        bail!(
            "kube-proxy runs on this node ({sign}) and would put its rules back: stop it first \
             (docs/migrate-kube-proxy.md), then come again"
        );
    }
    let mut netlink = Netlink::open()?;
    let mut served = false;
    for family in Family::ALL {
        served |= netlink.read(family)?.table;
    }
    if !served && !dry_run {
        bail!(
            "fairway has programmed nothing on this node, so Services would be left without rules: start \
             `fairway run` first, and come again when /healthz says 200"
        );
    }
    for family in Family::ALL {
        let found = match dry_run {
            true => netlink.kube_proxy(family)?,
            false => netlink.remove_kube_proxy(family)?,
        };
        tell("nf_tables", family, found.has_table, &found.chains, dry_run);
        let legacy = legacy::iptables(family, dry_run)?;
        if let Some(legacy) = legacy {
            tell("iptables-legacy", family, false, &legacy, dry_run);
        }
    }
    if dry_run {
        if Path::new("/sys/class/net").join(DEVICE).exists() {
            info!(device = DEVICE, "found kube-proxy's device of mode ipvs");
        }
        tell_virtual_servers();
        return Ok(());
    }
    let sets = address_sets::destroy()?;
    if !sets.is_empty() {
        info!(
            sets = sets.len(),
            "removed kube-proxy's sets of addresses (ipset)"
        );
    }
    if remove_device()? {
        info!(
            device = DEVICE,
            "removed kube-proxy's device of mode ipvs with its addresses"
        );
    }
    tell_virtual_servers();
    Ok(())
}

/// They stay: IPVS does not keep who made them, and clearing its table cuts the connections in it.
fn tell_virtual_servers() {
    let list = fs::read_to_string("/proc/net/ip_vs").unwrap_or_default();
    match virtual_servers(&list) {
        0 => {}
        count => warn!(
            count,
            "IPVS has virtual servers, which say nothing of who made them; fairway's rules come before them, and they \
             stay. If only kube-proxy used IPVS, run on the node, when `ipvsadm -Lcn` shows no connection: ipvsadm --clear",
        ),
    }
}

fn tell<Rule>(
    place: &str,
    family: Family,
    has_table: bool,
    found: &Leftovers<Rule>,
    dry_run: bool,
) {
    for (chain, user) in &found.in_use {
        warn!(%family, "the chain {chain} stays, because {user} leads to it and is not kube-proxy's");
    }
    if found.is_empty() && !has_table {
        info!(%family, place, "there is nothing of kube-proxy");
        return;
    }
    let (chains, rules) = (found.chains.len(), found.jumps.len());
    let done = if dry_run { "found" } else { "removed" };
    info!(%family, place, chains, rules, table = has_table, "{done} what kube-proxy left");
}

/// Whether it was there.
fn remove_device() -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (connection, handle, _) =
            rtnetlink::new_connection().context("cannot open rtnetlink")?;
        let connection = tokio::spawn(connection);
        let request = handle.link().get().match_name(DEVICE.to_owned());
        // An error means that there is no such device.
        let found = request.execute().try_next().await.ok().flatten();
        let removed = match &found {
            Some(device) => handle.link().del(device.header.index).execute().await,
            None => Ok(()),
        };
        connection.abort();
        removed.with_context(|| format!("cannot remove the device {DEVICE}"))?;
        Ok(found.is_some())
    })
}

/// How many IPVS lists; the lines between are those of real servers.
fn virtual_servers(list: &str) -> usize {
    let kinds = ["TCP", "UDP", "SCTP", "FWM"];
    let servers = list
        .lines()
        .filter(|line| kinds.iter().any(|kind| line.starts_with(kind)));
    servers.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `net/netfilter/ipvs/ip_vs_ctl.c` writes it; the development kernel has no IPVS.
    #[test]
    fn virtual_servers_are_told_from_real_ones() {
        let list = "IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A60000A:0050 rr
  -> 0AF40102:1F90      Masq    1      0          0
UDP  [fd00:0096:0000:0000:0000:0000:0000:000a]:0035 rr persistent 10800
FWM  00000001 wlc
";
        assert_eq!(virtual_servers(list), 3);
        assert_eq!(
            virtual_servers(list.split_at(list.find("TCP").unwrap()).0),
            0
        );
        assert_eq!(virtual_servers(""), 0);
    }
}
