//! One agent of all speaks for the cluster: it writes statuses and tells events about Ingresses.
//! Which one is settled by a Lease, as the components of Kubernetes do.
//!
//! Routing and programming never depend on it. Two agents that both believe to lead for a moment
//! write the same, because both see the same objects.

mod lease;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use self::lease::{Observer, Step};
use crate::api::{Report, is_denied};
use crate::{Connection, Right};

/// How long a holder that is silent keeps the Lease.
const DURATION: Duration = Duration::from_secs(30);

/// How often the holder says that it is there. Two attempts may fail before anybody else steps in.
const RENEW: Duration = Duration::from_secs(10);

/// How often all others look whether the holder has given it up: about as often as a kubelet renews the
/// Lease of its node, and by reading only.
const LOOK: Duration = Duration::from_secs(10);

/// The holder stops to lead so long before others may begin: their clocks run at other speeds.
const MARGIN: Duration = Duration::from_secs(3);

/// After a failure of the API server.
const RETRY: Duration = Duration::from_secs(5);

/// How long giving up the Lease may hold up the end of the process.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whether this agent leads, at any moment.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: watch::Receiver<Option<Instant>>,
}

impl Leadership {
    /// For an agent that is alone, as with a directory of manifests.
    pub fn always() -> Self {
        // As far as tokio's own "never".
        let forever = Instant::now() + Duration::from_secs(86_400 * 365 * 30);
        Self {
            until: watch::channel(Some(forever)).1,
        }
    }

    /// Whether it leads right now.
    pub fn is_held(&self) -> bool {
        self.until.borrow().is_some_and(|end| Instant::now() < end)
    }

    /// Returns when it was won, prolonged or lost. Cancel safe.
    pub async fn changed(&mut self) {
        if self.until.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Stands for election until it steps down or is dropped.
#[derive(Debug)]
pub struct Candidate {
    leadership: Leadership,
    stop: Option<oneshot::Sender<()>>,
    campaign: JoinHandle<()>,
}

impl Candidate {
    /// Stands for the Lease of this name, in the client's default namespace (in a pod, its own).
    ///
    /// The identity is the node's name: an agent that was restarted goes on where it was.
    ///
    /// Must be called within a tokio runtime.
    pub fn stand(connection: &Connection, lease: &str, identity: &str) -> Self {
        let (until, leadership) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let campaign = Campaign {
            api: Api::default_namespaced(connection.client.clone()),
            report: connection.report.clone(),
            lease: lease.to_owned(),
            observer: Observer::new(identity),
            until,
            complaint: None,
        };
        Self {
            leadership: Leadership { until: leadership },
            stop: Some(stop),
            campaign: tokio::spawn(campaign.run(stopped)),
        }
    }

    /// Whether this candidate leads.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Gives the Lease up, so that another agent need not wait for its end. Takes 2 s at most.
    pub async fn step_down(mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails only when the campaign has already ended.
            let _ = stop.send(());
        }
        // What cannot be given up in time runs out by itself.
        drop(timeout(FAREWELL, &mut self.campaign).await);
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.campaign.abort();
    }
}

struct Campaign {
    api: Api<Lease>,
    report: Arc<Report>,
    lease: String,
    observer: Observer,
    until: watch::Sender<Option<Instant>>,
    /// What was last complained about.
    complaint: Option<String>,
}

impl Campaign {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            let pause = self.attempt().await;
            tokio::select! {
                () = sleep(pause) => {}
                _ = &mut stopped => break,
            }
        }
        if self.until.send_replace(None).is_some() {
            self.release().await;
        }
    }

    /// Takes the Lease, renews it, or finds that another holds it. Returns when to look again.
    async fn attempt(&mut self) -> Duration {
        let asked = Instant::now();
        let stepped = self.step(asked).await;
        self.report.wrote(Right::Lease, &stepped);
        match stepped {
            Ok(None) => {
                self.complaint = None;
                if self
                    .until
                    .send_replace(Some(asked + DURATION - MARGIN))
                    .is_none()
                {
                    tracing::info!(
                        lease = self.lease,
                        "this agent writes statuses and events now"
                    );
                }
                RENEW
            }
            Ok(Some(wait)) => {
                self.complaint = None;
                if self.until.send_replace(None).is_some() {
                    tracing::info!(
                        lease = self.lease,
                        "another agent writes statuses and events now"
                    );
                }
                wait
            }
            // The report has said it.
            Err(error) if is_denied(&error) => RETRY,
            Err(error) => {
                // What is held is held until it runs out.
                let complaint = error.to_string();
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::warn!(
                        lease = self.lease,
                        reason = complaint,
                        "cannot take part in choosing who writes statuses"
                    );
                    self.complaint = Some(complaint);
                }
                RETRY
            }
        }
    }

    /// None if the Lease is ours now, else how long to wait.
    async fn step(&mut self, now: Instant) -> Result<Option<Duration>, kube::Error> {
        let found = self.api.get_opt(&self.lease).await?;
        let parameters = PostParams::default();
        let written = match self.observer.decide(found, now, Timestamp::now()) {
            Step::Wait(wait) => return Ok(Some(wait)),
            Step::Create(mut lease) => {
                lease.metadata.name = Some(self.lease.clone());
                self.api.create(&parameters, &lease).await
            }
            Step::Replace(lease) => self.api.replace(&self.lease, &parameters, &lease).await,
        };
        match written {
            Ok(_) => Ok(None),
            // Somebody else was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Some(RETRY)),
            Err(error) => Err(error),
        }
    }

    async fn release(&mut self) {
        let Ok(Some(found)) = self.api.get_opt(&self.lease).await else {
            return;
        };
        if let Some(lease) = self.observer.release(found) {
            // Should it fail, the Lease runs out by itself.
            let parameters = PostParams::default();
            drop(self.api.replace(&self.lease, &parameters, &lease).await);
        }
    }
}
