//! Processes of other service proxies in this network namespace, as far as `/proc` shows them.

use std::fs;
use std::path::Path;

/// What service proxies are called. The kernel keeps fifteen bytes of a name.
const PROXIES: [&str; 4] = ["kube-proxy", "cilium-agent", "kube-router", "kpng"];

/// Those that run, each once.
pub(super) fn proxies(proc: &Path) -> Vec<String> {
    let namespace = |process: &Path| fs::read_link(process.join("ns/net")).ok();
    let own = namespace(&proc.join("thread-self"));
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let processes = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy()
            .bytes()
            .all(|byte| byte.is_ascii_digit())
    });
    let mut found: Vec<_> = processes
        .filter_map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            let name = name.trim().to_owned();
            let is_proxy = PROXIES.contains(&name.as_str());
            // Only root sees those of others; who cannot be asked is not here.
            (is_proxy && own.is_some() && namespace(&entry.path()) == own).then_some(name)
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
