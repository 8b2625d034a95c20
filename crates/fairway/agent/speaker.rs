//! What one of all agents says for all of them: statuses of Ingresses, and Events about objects.

use fairway_cluster::{
    Candidate, Cluster, EventRecorder, Leadership, Options, Publisher, Source, StartError,
};
use tokio::task::JoinHandle;

use super::announcer::Announcer;
use crate::config::Router;

/// Speaks while this agent leads, and stands for election all the time.
pub(crate) struct Speaker {
    /// None with manifests: there is nobody else.
    candidate: Option<Candidate>,
    _publisher: Option<Publisher>,
    announcer: JoinHandle<()>,
}

impl Speaker {
    pub(crate) fn start(
        source: &Source,
        options: &Options,
        router: &Router,
        cluster: &mut Cluster,
        recorder: EventRecorder,
    ) -> Result<Self, StartError> {
        let candidate = match source {
            // Routers of other classes elect their own leader.
            Source::Api(connection) => {
                let lease = format!("fairway-ingress-{}", router.ingress_class);
                Some(Candidate::stand(connection, &lease, &options.node_name))
            }
            Source::Manifests(_) => None,
        };
        let leadership = match &candidate {
            Some(candidate) => candidate.leadership(),
            None => Leadership::always(),
        };
        let publisher = router.publish.clone();
        let publisher =
            publisher.map(|it| Publisher::start(source, options, it, leadership.clone()));
        let announcer = Announcer::new(cluster.news(), leadership, recorder);
        Ok(Self {
            candidate,
            _publisher: publisher.transpose()?,
            announcer: tokio::spawn(announcer.run()),
        })
    }

    /// Lets another agent take over without delay.
    pub(crate) async fn stop(mut self) {
        if let Some(candidate) = self.candidate.take() {
            candidate.step_down().await;
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.announcer.abort();
    }
}
