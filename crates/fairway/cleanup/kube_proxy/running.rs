//! Whether kube-proxy runs on this node: by its process, and in a pod, which sees its own processes alone, by its port.

use std::fs;

use anyhow::Context;

/// What shows that it runs.
pub(super) fn sign() -> anyhow::Result<Option<String>> {
    if let Some(process) = process()? {
        return Ok(Some(format!("process {process}")));
    }
    let answers = fairway_doctor::kube_proxy_answers();
    Ok(answers.then(|| "it answers at port 10249".to_owned()))
}

/// A kube-proxy of this network namespace.
fn process() -> anyhow::Result<Option<u32>> {
    let ours = fs::read_link("/proc/self/ns/net").context("cannot tell this network namespace")?;
    let processes = fs::read_dir("/proc").context("cannot list processes")?;
    for process in processes.flatten() {
        let Some(id) = process.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        let of = |file: &str| process.path().join(file);
        let name = fs::read_to_string(of("comm")).unwrap_or_default();
        if name.trim_end() == "kube-proxy" && fs::read_link(of("ns/net")).is_ok_and(|it| it == ours)
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
