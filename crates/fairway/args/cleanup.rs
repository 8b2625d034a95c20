use clap::Args;

use crate::cleanup::Cleanup;

#[derive(Debug, Args)]
pub(super) struct CleanupArgs {
    /// Instead of fairway's rules, remove what kube-proxy left, of all its modes and nobody else's
    ///
    /// kube-proxy must have been stopped, and fairway may run: its rules have to be there.
    #[arg(long)]
    kube_proxy: bool,

    /// Only say what kube-proxy left
    #[arg(long, requires = "kube_proxy")]
    dry_run: bool,
}

impl CleanupArgs {
    pub(super) fn what(&self) -> Cleanup {
        match self.kube_proxy {
            true => Cleanup::KubeProxy {
                dry_run: self.dry_run,
            },
            false => Cleanup::Fairway,
        }
    }
}
