//! Tells the owners of objects what became of them, as Events. All agents see the same; the leader tells.

use std::collections::VecDeque;
use std::time::Duration;

use fairway_cluster::{Accepted, EventRecorder, Leadership, News, ObjectEvent, Problem, Severity};
use fairway_model::ObjectRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long news wait for a leader: as long as it takes to find one, a Lease and a while. What
/// is older was told by another agent.
const WAIT: Duration = Duration::from_secs(45);

/// News that wait. The log has all problems.
const WAITING: usize = 1024;

/// Turns news into Events for as long as it is polled.
pub(crate) struct Announcer {
    news: mpsc::Receiver<News>,
    leadership: Leadership,
    recorder: EventRecorder,
    waiting: VecDeque<(Instant, News)>,
}

impl Announcer {
    pub(crate) fn new(
        news: mpsc::Receiver<News>,
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
                news = self.news.recv() => match news {
                    Some(news) => self.take_in(news),
                    None => return,
                },
                () = self.leadership.changed() => {}
            }
            self.tell();
        }
    }

    fn take_in(&mut self, news: News) {
        // A file is no object of the API.
        if matches!(&news, News::Problem(problem) if problem.object.kind == "File") {
            return;
        }
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((Instant::now(), news));
    }

    fn tell(&mut self) {
        self.waiting.retain(|(since, _)| since.elapsed() < WAIT);
        if !self.leadership.is_held() {
            return;
        }
        for (_, news) in self.waiting.drain(..) {
            match news {
                // The log has it.
                News::Problem(problem) => self.recorder.send(of_problem(problem)),
                News::Accepted(accepted) => self.recorder.record(of_accepted(accepted)),
            }
        }
    }
}

fn of_problem(problem: Problem) -> ObjectEvent {
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

fn of_accepted(accepted: Accepted) -> ObjectEvent {
    let note = match accepted.hosts {
        1 => "serves one host".to_owned(),
        hosts => format!("serves {hosts} hosts"),
    };
    ObjectEvent {
        regarding: ObjectRef {
            kind: "Ingress",
            name: accepted.name,
        },
        severity: Severity::Normal,
        reason: "Accepted",
        action: "Configure",
        note,
    }
}
