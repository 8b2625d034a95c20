//! What outlives a configuration: signals, the lock, routers that are still finishing, and the way in which
//! one agent follows another.

use std::time::Duration;

use anyhow::Context;
use fairway_proxy::Metrics;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::ending::Ending;
use super::handover::{Predecessor, Successor};
use super::ingress::Ingress;
use super::lock::AgentLock;
use super::loopback::Relays;
use super::reload::Reload;
use super::retiring::Retiring;
use super::signals::{Signals, Stop};
use super::{LOG, Next};
use crate::causes::with_causes;
use crate::config::{Config, Loader};

/// Before a configuration is tried again that has been served, and now cannot be.
const AGAIN: Duration = Duration::from_secs(5);

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
    /// Of node ports on loopback, once they are wanted.
    pub(super) relays: Option<Relays>,
    /// What routers have counted, also those that are still finishing.
    pub(super) traffic: Metrics,
    /// The last configuration that was served: the one to go back to.
    pub(super) served: Option<Config>,
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
            relays: None,
            traffic: Metrics::default(),
            served: None,
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

    /// All that is wanted of us is served.
    pub(super) async fn serving(&mut self, config: &Config) {
        self.served = Some(config.clone());
        self.retire_former(config.drain);
        if !(config.service_proxy && config.loopback_node_ports) {
            self.relays = None;
        }
        if let Some(predecessor) = self.predecessor.take()
            && let Err(error) = predecessor.serving().await
        {
            warn!(%error, "cannot tell the fairway of before that it is no longer needed");
        }
    }

    /// What to do instead of serving a configuration that turned out to be unusable: the one of before
    /// stays in force, if there is one.
    pub(super) async fn go_back(
        &mut self,
        from: &Config,
        error: anyhow::Error,
    ) -> anyhow::Result<Next> {
        let Some(served) = self.served.clone() else {
            return Err(error);
        };
        let error = with_causes(&*error);
        if served != *from {
            warn!(target: LOG, "{error}; the configuration of before stays in force");
            return Ok(Next::Config(Box::new(served)));
        }
        // To end would only cut what still works.
        warn!(target: LOG, "{error}; nothing that changes is followed until this is mended; trying again");
        tokio::select! {
            changed = self.reload.next() => Ok(Next::Config(Box::new(changed))),
            () = sleep(AGAIN) => Ok(Next::Config(Box::new(served))),
            stop = self.signals.stop() => {
                self.end(from, stop).await;
                Ok(Next::End)
            }
        }
    }

    /// Told to stop while nothing but the router of before serves: it serves on until load balancers have
    /// noticed.
    pub(super) async fn end(&mut self, config: &Config, stop: Stop) {
        if self.former.is_none() {
            return self.drain(config.drain).await;
        }
        let mut ending = Ending::begin(config, stop);
        tokio::select! {
            () = ending.noticed() => {}
            _ = self.signals.stop() => {}
        }
        ending.drain();
        let grace = ending.cut_at().saturating_duration_since(Instant::now());
        self.drain(grace).await;
    }

    /// What `config` has become since it is served: policies change without a new start.
    pub(super) fn in_force(&self, config: &Config) -> Config {
        self.served.as_ref().unwrap_or(config).clone()
    }

    /// Gives way to another agent; false when that one did not come to serve.
    pub(super) async fn hand_over(
        &mut self,
        next: Successor,
        config: &Config,
    ) -> anyhow::Result<bool> {
        info!("another fairway takes over: serving on until it does");
        self.lock = None;
        self.relays = None;
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
