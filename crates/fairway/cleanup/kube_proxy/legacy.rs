//! The iptables of before nf_tables, whose tables the kernel keeps apart. Its interface is a memory image of a whole
//! table, which is left to its own programs.

#[cfg(test)]
mod tests;

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use fairway_nft::leftovers::{ChainName, Jump, Leftovers, TABLES};
use fairway_plan::Family;
use tracing::warn;

/// What kube-proxy left there, removed unless `dry_run`. None where there are no such tables, or no program to read them.
pub(super) fn iptables(family: Family, dry_run: bool) -> anyhow::Result<Option<Leftovers<String>>> {
    let (program, tables) = match family {
        Family::Ip4 => ("iptables-legacy", "/proc/net/ip_tables_names"),
        Family::Ip6 => ("ip6tables-legacy", "/proc/net/ip6_tables_names"),
    };
    let tables = std::fs::read_to_string(tables).unwrap_or_default();
    if !tables.lines().any(|table| TABLES.contains(&table)) {
        return Ok(None);
    }
    let saved = match Command::new(format!("{program}-save")).output() {
        Ok(saved) => saved,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            warn!(
                "there are tables of {program}, and no {program}-save here to read them: if kube-proxy used them, run \
                 `fairway cleanup --kube-proxy` or `kube-proxy --cleanup` on the node, where it is",
            );
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot run {program}-save")),
    };
    if !saved.status.success() {
        bail!(
            "{program}-save failed: {}",
            String::from_utf8_lossy(&saved.stderr).trim()
        );
    }
    let found = parse(&String::from_utf8_lossy(&saved.stdout));
    if !dry_run && !found.is_empty() {
        restore(program, &script(&found))?;
    }
    Ok(Some(found))
}

/// What `iptables-save` printed.
fn parse(saved: &str) -> Leftovers<String> {
    let mut table = "";
    let mut chains = Vec::new();
    let mut jumps = Vec::new();
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(chain) = line.strip_prefix(':') {
            let name = chain.split(' ').next().unwrap_or_default();
            chains.push(ChainName::new(table, name));
        } else if let Some(rule) = line.strip_prefix("-A ") {
            // A target without options of its own: what leads to a chain has none. A comment ends in a quote.
            let mut words = rule.rsplit(' ');
            let (to, option) = (words.next(), words.next());
            if let (Some(to), Some("-j" | "-g")) = (to, option) {
                let from = rule.split(' ').next().unwrap_or_default();
                jumps.push(Jump {
                    from: ChainName::new(table, from),
                    to: to.to_owned(),
                    rule: rule.to_owned(),
                });
            }
        }
    }
    Leftovers::among(chains, jumps)
}

/// For `iptables-restore --noflush`: each table is one transaction.
fn script(found: &Leftovers<String>) -> String {
    let mut script = String::new();
    for table in TABLES {
        let jumps = found.jumps.iter().filter(|jump| jump.from.table == table);
        let jumps = jumps.map(|jump| format!("-D {}\n", jump.rule));
        let chains = || found.chains.iter().filter(|chain| chain.table == table);
        let emptied = chains().map(|chain| format!("-F {}\n", chain.name));
        let deleted = chains().map(|chain| format!("-X {}\n", chain.name));
        let lines: String = jumps.chain(emptied).chain(deleted).collect();
        if !lines.is_empty() {
            script.push_str(&format!("*{table}\n{lines}COMMIT\n"));
        }
    }
    script
}

fn restore(program: &str, script: &str) -> anyhow::Result<()> {
    let restore = format!("{program}-restore");
    let mut child = Command::new(&restore)
        .args(["--noflush", "--wait", "5"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {restore}"))?;
    let mut stdin = child.stdin.take().context("stdin was asked for")?;
    // A program that ends early says why, below.
    let _ = stdin.write_all(script.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "{restore} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
