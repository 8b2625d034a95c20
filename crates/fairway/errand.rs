//! What `run` does instead of running: kube-proxy's `--write-config-to` and `--init-only`.

use std::path::Path;

use anyhow::Context;
use tracing::info;

use crate::config::Config;
use crate::kernel::Kernel;

/// Writes the configuration that is in force, for `--config`.
pub(crate) fn write_config(config: &Config, path: &Path) -> anyhow::Result<()> {
    let documents = config.documents()?;
    std::fs::write(path, documents).with_context(|| format!("cannot write {}", path.display()))?;
    info!(path = %path.display(), "wrote the configuration");
    Ok(())
}

/// Sets what needs all of root's rights, so that `run` needs only `CAP_NET_ADMIN` afterwards.
pub(crate) fn initialize(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Kernel::default().prepare(config);
}
