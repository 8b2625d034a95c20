//! Requests that keep coming while something changes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::curl::Curl;

/// So many of each command run at the same time.
pub(super) const LOOPS: usize = 2;

/// A request under way until [`stop`](Self::stop), or until it is dropped, again and again.
#[derive(Debug)]
pub(super) struct Traffic {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    /// In the order in which they ended.
    requests: Mutex<Vec<Request>>,
    progress: Condvar,
}

/// What came of one request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) began: Instant,
    pub(super) took: Duration,
    /// The pod that answered, or what happened instead.
    pub(super) answer: Result<String, String>,
}

impl Traffic {
    pub(super) fn start(curl: &Curl) -> Self {
        let shared = Arc::<Shared>::default();
        let threads = (0..LOOPS).map(|_| {
            let (shared, curl) = (Arc::clone(&shared), curl.clone());
            thread::spawn(move || {
                while !shared.stopped.load(Ordering::Relaxed) {
                    let request = Request::make(&curl);
                    shared.lock().push(request);
                    shared.progress.notify_all();
                }
            })
        });
        Self {
            threads: threads.collect(),
            shared,
        }
    }

    /// Waits until the requests so far are as wanted. False if they are not within 30 s.
    pub(super) fn wait(&self, wanted: impl Fn(&[Request]) -> bool) -> bool {
        let requests = self.shared.lock();
        let not_yet = |requests: &mut Vec<Request>| !wanted(requests);
        // Long enough for a machine that is busy with other things.
        let patience = Duration::from_secs(30);
        let progress = &self.shared.progress;
        let waited = progress.wait_timeout_while(requests, patience, not_yet);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// How many have ended.
    pub(super) fn done(&self) -> usize {
        self.shared.lock().len()
    }

    /// Lets those under way end, and returns all, by when they began.
    pub(super) fn stop(mut self) -> Vec<Request> {
        self.shared.stopped.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic there has been reported by the panic hook, and its requests are missing.
            drop(thread.join());
        }
        let mut requests = std::mem::take(&mut *self.shared.lock());
        requests.sort_by_key(|request| request.began);
        requests
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Request>> {
        // A panic cannot leave it half changed.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    fn make(curl: &Curl) -> Self {
        let began = Instant::now();
        let response = curl.send();
        let took = began.elapsed();
        let answer = match response {
            Ok(response) => match response.answer() {
                Some(answer) if response.status == 200 => Ok(answer.pod),
                _ => Err(response.status.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        Self {
            began,
            took,
            answer,
        }
    }

    pub(super) fn is_by(&self, pod: &str) -> bool {
        self.answer.as_deref() == Ok(pod)
    }
}

/// How many each pod answered: `api-1 12  api-2 13`.
pub(super) fn by_pod<'a>(requests: impl IntoIterator<Item = &'a Request>) -> String {
    let mut pods: BTreeMap<&str, usize> = BTreeMap::new();
    let answers = requests.into_iter().map(|request| &request.answer);
    for pod in answers.flatten() {
        *pods.entry(pod).or_default() += 1;
    }
    let texts: Vec<_> = pods
        .iter()
        .map(|(pod, number)| format!("{pod} {number}"))
        .collect();
    texts.join("  ")
}
