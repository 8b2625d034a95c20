use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use kube::Client;
use kube::client::Body;
use tokio::time::{Instant, sleep_until};
use tower::service_fn;

/// The client of watchers. It tells `started` whenever a watch has begun, which the watcher itself
/// says only with the first change, and lets no two watches of the same begin within `spacing`: a server
/// that ends each watch at once is watched again at once by kube.
///
/// One is for many: each client of kube's has a queue of its own, of ten kilobytes.
pub(super) fn client(
    inner: Client,
    spacing: Duration,
    started: impl Fn() + Send + Sync + 'static,
) -> Client {
    let namespace = inner.default_namespace().to_owned();
    let started = Arc::new(started);
    let next_watch: Arc<Mutex<Turns>> = Arc::default();
    let service = service_fn(move |request: Request<Body>| {
        let inner = inner.clone();
        let started = Arc::clone(&started);
        let next_watch = Arc::clone(&next_watch);
        async move {
            if !is_watch(&request) {
                return inner.send(request).await;
            }
            if let Some(turn) = take_turn(&next_watch, watched(&request), spacing) {
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

/// When the next watch of each may begin.
type Turns = HashMap<String, Instant>;

/// What a watch is on: its path, and which fields are selected.
fn watched<B>(request: &Request<B>) -> String {
    let uri = request.uri();
    let mut pairs = uri.query().unwrap_or_default().split('&');
    let fields = pairs.find(|pair| pair.starts_with("fieldSelector="));
    format!("{}?{}", uri.path(), fields.unwrap_or_default())
}

/// When the watch may begin; the next one has to wait `spacing` longer.
fn take_turn(turns: &Mutex<Turns>, watched: String, spacing: Duration) -> Option<Instant> {
    let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if turns.len() == turns.capacity() {
        // Rather than grow: who has not watched lately may begin at once.
        turns.retain(|_, turn| *turn > now);
    }
    let turn = turns.get(&watched).copied().filter(|turn| *turn > now);
    if let Some(next) = turn.unwrap_or(now).checked_add(spacing) {
        turns.insert(watched, next);
    }
    turn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_has_turns_of_its_own_and_none_is_remembered_for_ever() {
        let spacing = Duration::from_secs(1);
        let turns = Mutex::default();
        let take = |name: usize| take_turn(&turns, name.to_string(), spacing);
        assert_eq!((take(1), take(2)), (None, None));
        let first = take(1).expect("it has just begun");
        assert_eq!(first, Instant::now() + spacing);
        assert_eq!(take(1), Some(first + spacing));
        sleep_until(first).await;
        assert_eq!(take(2), None);
        for name in 0..10_000 {
            take(name);
            sleep_until(Instant::now() + spacing / 4).await;
        }
        assert!(turns.lock().unwrap().len() < 64);
    }

    #[test]
    fn a_watch_is_known_by_what_it_selects() {
        let of = |target: &str| watched(&Request::get(target).body(()).unwrap());
        let secrets = "/api/v1/namespaces/shop/secrets?watch=true";
        let a = of(&format!(
            "{secrets}&fieldSelector=metadata.name%3Da&resourceVersion=1"
        ));
        assert_eq!(
            a,
            of(&format!(
                "{secrets}&resourceVersion=9&fieldSelector=metadata.name%3Da"
            ))
        );
        assert_ne!(a, of(&format!("{secrets}&fieldSelector=metadata.name%3Db")));
    }
}
