//! What outlives a configuration: signals, the lock, routers that are still finishing, and the way in which
//! one agent follows another.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::handover::{Predecessor, Successor};
use super::ingress::Ingress;
use super::lock::AgentLock;
use super::reload::Reload;
use super::retiring::Retiring;
use super::signals::Signals;
use crate::config::{Config, Loader};

/// What outlives a configuration.
pub(super) struct Process {
    pub(super) signals: Signals,
    /// None before we take the place of another agent, and after we have given up ours.
    pub(super) lock: Option<AgentLock>,
    /// The agent whose place we have taken, until it has been told that we serve.
    pub(super) predecessor: Option<Predecessor>,
    pub(super) reload: Reload,
    pub(super) retiring: Retiring,
    /// The router of the configuration of before.
    pub(super) former: Option<Ingress>,
}

impl Process {
    /// Ready for the first configuration.
    pub(super) fn new(config: &Config, loader: Loader) -> anyhow::Result<Self> {
        Ok(Self {
            signals: Signals::listen().context("cannot listen for signals")?,
            lock: match config.takeover {
                true => AgentLock::try_take()?,
                false => Some(AgentLock::take()?),
            },
            predecessor: None,
            reload: Reload::follow(loader, config).context("cannot start a thread")?,
            retiring: Retiring::default(),
            former: None,
        })
    }

    /// There is another router now, or none is wanted. `grace` is the time in which requests have to be
    /// over where any time is too long.
    pub(super) fn retire_former(&mut self, grace: Duration) {
        if let Some(ingress) = self.former.take() {
            self.retiring.add(ingress, self.signals.reopens(), grace);
        }
    }

    /// Takes the place of the agent that runs on this node, if we are not that one.
    pub(super) async fn take_over(&mut self) -> anyhow::Result<()> {
        if self.lock.is_none() {
            let (lock, predecessor) = AgentLock::take_over().await?;
            self.lock = Some(lock);
            self.predecessor = predecessor;
        }
        Ok(())
    }

    /// Agents that ask for our place. Without the lock there are none.
    pub(super) fn successors(&self) -> anyhow::Result<mpsc::Receiver<Successor>> {
        let successors = self.lock.as_ref().map(AgentLock::successors);
        let successors = successors.unwrap_or_else(|| Ok(mpsc::channel(1).1));
        successors.context("cannot listen for another fairway")
    }

    /// Our router serves.
    pub(super) async fn serving(&mut self, config: &Config) {
        self.retire_former(config.drain);
        if let Some(predecessor) = self.predecessor.take()
            && let Err(error) = predecessor.serving().await
        {
            warn!(%error, "cannot tell the fairway of before that it is no longer needed");
        }
    }

    /// Gives way to another agent; false when that one did not come to serve.
    pub(super) async fn hand_over(
        &mut self,
        next: Successor,
        config: &Config,
    ) -> anyhow::Result<bool> {
        info!("another fairway takes over: serving on until it does");
        self.lock = None;
        let told_to_stop = tokio::select! {
            follows = next.follows() => match follows {
                true => false,
                false => {
                    self.lock = Some(AgentLock::take()?);
                    return Ok(false);
                }
            },
            _ = self.signals.stop() => true,
        };
        info!("another fairway serves now: open requests may finish");
        self.retire_former(config.drain);
        if !told_to_stop {
            // Whoever watches over this process would start it again if it ended by itself.
            self.signals.stop().await;
        }
        self.drain(config.drain).await;
        Ok(true)
    }

    /// Lets open requests finish, for as long as `grace`.
    pub(super) async fn drain(&mut self, grace: Duration) {
        self.retire_former(grace);
        self.retiring.end_by(Instant::now() + grace);
        tokio::select! {
            () = self.retiring.all() => {}
            _ = self.signals.stop() => warn!("told to stop again: open requests are cut off"),
        }
    }
}
