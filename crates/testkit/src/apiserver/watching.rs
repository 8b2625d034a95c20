use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::body::{BoxError, broken};
use super::failure::Failure;
use super::selector::Selector;
use super::shared::{Shared, Signals};
use super::store::Change;
use super::target::{Query, Target};

/// A watch in progress.
pub(super) struct Watching {
    shared: Arc<Shared>,
    target: Target,
    selector: Selector,
    /// Everything up to this version was sent.
    position: u64,
    lines: VecDeque<Bytes>,
    bookmarks: bool,
    begun: Signals,
    signals: watch::Receiver<Signals>,
    next_bookmark: Instant,
    end: Instant,
    ended: bool,
    _counted: Counted,
}

impl Watching {
    pub(super) fn begin(
        shared: &Arc<Shared>,
        target: Target,
        query: &Query,
    ) -> Result<Self, Failure> {
        let resource = target.resource;
        let labels = query.text("labelSelector");
        let selector = Selector::parse(resource, labels, query.text("fieldSelector"))?;
        let signals = shared.signals.subscribe();
        let begun = *signals.borrow();
        let now = Instant::now();
        let timeout = query.number("timeoutSeconds").unwrap_or(1800);
        let mut watching = Self {
            target,
            selector,
            position: query.number("resourceVersion").unwrap_or(0),
            lines: VecDeque::new(),
            bookmarks: query.flag("allowWatchBookmarks"),
            begun,
            signals,
            next_bookmark: now + begun.bookmark_interval,
            end: now + Duration::from_secs(timeout),
            ended: false,
            _counted: Counted::new(shared, resource.plural),
            shared: Arc::clone(shared),
        };
        let streaming_list = query.flag("sendInitialEvents");
        if streaming_list && query.text("resourceVersionMatch") != "NotOlderThan" {
            return Err(Failure::invalid(
                "resourceVersionMatch must be NotOlderThan with sendInitialEvents",
            ));
        }
        // Without a version, or with "0", a watch begins with all objects.
        if streaming_list || watching.position == 0 {
            watching.send_all(streaming_list);
        }
        Ok(watching)
    }

    /// The events, one a line.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
        stream::unfold(self, |mut watching| async move {
            let line = watching.next().await?;
            Some((line, watching))
        })
    }

    /// Ends with an event that says that the version is too old.
    pub(super) fn expire(&mut self) {
        self.send("ERROR", &Failure::expired().to_value());
        self.ended = true;
    }

    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            let signals = *self.signals.borrow_and_update();
            if signals.stopped || !signals.serving || signals.epoch != self.begun.epoch {
                self.ended = true;
                return Some(Err(broken()));
            }
            self.send_changes();
            if signals.ends != self.begun.ends {
                self.ended = true;
                continue;
            }
            if signals.bookmarks != self.begun.bookmarks {
                self.begun.bookmarks = signals.bookmarks;
                self.send_bookmark();
            }
            if !self.lines.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.signals.changed() => self.ended = changed.is_err(),
                () = sleep_until(self.end) => self.ended = true,
                () = sleep_until(self.next_bookmark) => {
                    self.next_bookmark = Instant::now() + signals.bookmark_interval;
                    self.send_bookmark();
                }
            }
        }
    }

    fn send_all(&mut self, mark_the_end: bool) {
        let store = self.shared.store();
        let (objects, revision) = (store.objects(self.target.resource), store.revision());
        drop(store);
        for (key, object) in &objects {
            let here = self
                .target
                .namespace
                .as_ref()
                .is_none_or(|n| *n == key.namespace);
            if here && self.selector.matches(object) {
                self.send("ADDED", object);
            }
        }
        self.position = revision;
        if mark_the_end {
            let mut mark = self.bookmark();
            mark["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
            self.send("BOOKMARK", &mark);
        }
    }

    fn send_changes(&mut self) {
        let store = self.shared.store();
        let changes: Option<Vec<Change>> = store.changes_since(self.position).map(|changes| {
            let mine = changes.filter(|change| self.concerns(change));
            mine.cloned().collect()
        });
        let revision = store.revision();
        drop(store);
        let Some(changes) = changes else {
            self.expire();
            return;
        };
        for change in changes {
            let matching = |object: &Option<Arc<Value>>| {
                object
                    .clone()
                    .filter(|object| self.selector.matches(object))
            };
            match (matching(&change.before), matching(&change.after)) {
                (None, None) => {}
                (None, Some(after)) => self.send("ADDED", &after),
                (Some(_), Some(after)) => self.send("MODIFIED", &after),
                // Gone, or no longer selected: either way this watch will not see it again. The last
                // state that it could see is sent with the version of the change.
                (Some(before), None) => {
                    let mut last = before.as_ref().clone();
                    last["metadata"]["resourceVersion"] = change.revision.to_string().into();
                    self.send("DELETED", &last);
                }
            }
        }
        self.position = self.position.max(revision);
    }

    fn concerns(&self, change: &Change) -> bool {
        change.resource == self.target.resource
            && self
                .target
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == change.key.namespace)
    }

    fn send_bookmark(&mut self) {
        if self.bookmarks {
            let bookmark = self.bookmark();
            self.send("BOOKMARK", &bookmark);
        }
    }

    fn bookmark(&self) -> Value {
        json!({
            "kind": self.target.resource.kind, "apiVersion": self.target.resource.api_version(),
            "metadata": { "resourceVersion": self.position.to_string(), "creationTimestamp": null },
        })
    }

    fn send(&mut self, event: &str, object: &Value) {
        // `type` comes first on the wire of a real server, too: clients may decode as they read.
        let line = format!("{{\"type\":\"{event}\",\"object\":{object}}}\n");
        self.lines.push_back(line.into());
    }
}

/// Counts the watches that are open.
struct Counted {
    shared: Arc<Shared>,
    plural: &'static str,
}

impl Counted {
    fn new(shared: &Arc<Shared>, plural: &'static str) -> Self {
        *shared.requests().watchers.entry(plural).or_default() += 1;
        Self {
            shared: Arc::clone(shared),
            plural,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(open) = self.shared.requests().watchers.get_mut(self.plural) {
            *open = open.saturating_sub(1);
        }
    }
}
