use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use kube::Client;
use kube::client::Body;
use tokio::time::{Instant, sleep_until};
use tower::service_fn;

/// The client of one watcher. It tells `started` whenever a watch has begun, which the watcher itself
/// says only with the first change, and lets no two watches begin within `spacing`: a server that
/// ends each watch at once is watched again at once by kube.
pub(super) fn client(
    inner: Client,
    spacing: Duration,
    started: impl Fn() + Send + Sync + 'static,
) -> Client {
    let namespace = inner.default_namespace().to_owned();
    let started = Arc::new(started);
    let next_watch: Arc<Mutex<Option<Instant>>> = Arc::default();
    let service = service_fn(move |request: Request<Body>| {
        let inner = inner.clone();
        let started = Arc::clone(&started);
        let next_watch = Arc::clone(&next_watch);
        async move {
            if !is_watch(&request) {
                return inner.send(request).await;
            }
            if let Some(turn) = take_turn(&next_watch, spacing) {
                sleep_until(turn).await;
            }
            let response = inner.send(request).await?;
            if response.status().is_success() {
                started();
            }
            Ok(response)
        }
    });
    Client::new(service, namespace)
}

fn is_watch<B>(request: &Request<B>) -> bool {
    request
        .uri()
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}

/// When the watch may begin; the next one has to wait `spacing` longer.
fn take_turn(next: &Mutex<Option<Instant>>, spacing: Duration) -> Option<Instant> {
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let turn = next.filter(|turn| *turn > now);
    *next = turn.unwrap_or(now).checked_add(spacing);
    turn
}
