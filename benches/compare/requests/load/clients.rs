use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::LocalSet;

use super::Outcome;
use crate::requests::stage::Stage;

/// Runs so many clients at the same time, each of which is told when to end and returns how many of its
/// questions were answered, and how many failed.
pub(super) fn run<C: Future<Output = (u64, u64)> + 'static>(
    stage: &Stage,
    count: usize,
    seconds: f64,
    client: impl Fn(Instant) -> C + Sync,
) -> Result<Outcome> {
    stage.namespace.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let started = Instant::now();
        let end = started + Duration::from_secs_f64(seconds);
        let mut outcome = LocalSet::new().block_on(&runtime, async {
            let clients = (0..count).map(|_| tokio::task::spawn_local(client(end)));
            let clients: Vec<_> = clients.collect();
            let mut outcome = Outcome::default();
            for client in clients {
                let (answered, failed) = client.await?;
                outcome.answered += answered;
                outcome.failed += failed;
            }
            anyhow::Ok(outcome)
        })?;
        outcome.elapsed = started.elapsed();
        Ok(outcome)
    })
}
