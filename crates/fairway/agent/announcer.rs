//! Tells the owners of objects what is wrong with them, as Events. All agents see the same problems;
//! the leader tells.

use std::collections::VecDeque;
use std::time::Duration;

use fairway_cluster::{EventRecorder, Leadership, ObjectEvent, Problem, Severity};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long a problem waits for a leader: as long as it takes to find one, a Lease and a while. What
/// is older was told by another agent.
const WAIT: Duration = Duration::from_secs(45);

/// Problems that wait. The log has all of them.
const WAITING: usize = 1024;

/// Turns problems into Events for as long as it is polled.
pub(crate) struct Announcer {
    news: mpsc::Receiver<Problem>,
    leadership: Leadership,
    recorder: EventRecorder,
    waiting: VecDeque<(Instant, Problem)>,
}

impl Announcer {
    pub(crate) fn new(
        news: mpsc::Receiver<Problem>,
        leadership: Leadership,
        recorder: EventRecorder,
    ) -> Self {
        Self {
            news,
            leadership,
            recorder,
            waiting: VecDeque::new(),
        }
    }

    /// Ends when the cluster does.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                problem = self.news.recv() => match problem {
                    Some(problem) => self.take_in(problem),
                    None => return,
                },
                () = self.leadership.changed() => {}
            }
            self.tell();
        }
    }

    fn take_in(&mut self, problem: Problem) {
        // A file is no object of the API.
        if problem.object.kind == "File" {
            return;
        }
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((Instant::now(), problem));
    }

    fn tell(&mut self) {
        self.waiting.retain(|(since, _)| since.elapsed() < WAIT);
        if !self.leadership.is_held() {
            return;
        }
        for (_, problem) in self.waiting.drain(..) {
            self.recorder.send(event(problem));
        }
    }
}

fn event(problem: Problem) -> ObjectEvent {
    let note = match problem.field.is_empty() {
        true => problem.message,
        false => format!("{}: {}", problem.field, problem.message),
    };
    ObjectEvent {
        regarding: problem.object,
        severity: Severity::Warning,
        reason: problem.reason.as_str(),
        action: "Configure",
        note,
    }
}
