//! Tells the owners of objects what became of them, as Events. All agents see the same; the leader tells.

use std::collections::VecDeque;
use std::time::Duration;

use fairway_cluster::{Accepted, EventRecorder, Leadership, News, ObjectEvent, Problem, Severity};
use fairway_model::ObjectRef;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How long news wait for a leader: as long as it takes to find one, a Lease and a while. What
/// is older was told by another agent.
const WAIT: Duration = Duration::from_secs(45);

/// News that wait. The log has all problems.
const WAITING: usize = 1024;

/// For what often is over soon: the only pod of a Service takes so long to be replaced, and a new one to
/// start. Who is told every time stops listening.
const GRACE: Duration = Duration::from_secs(30);

/// Turns news into Events for as long as it is polled.
pub(crate) struct Announcer {
    news: mpsc::Receiver<News>,
    leadership: Leadership,
    recorder: EventRecorder,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    /// When it is told, if somebody is there to tell it.
    due: Instant,
    news: News,
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
            let due = self.next_due();
            tokio::select! {
                news = self.news.recv() => match news {
                    Some(news) => self.take_in(news),
                    None => return,
                },
                () = self.leadership.changed() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            self.tell();
        }
    }

    fn take_in(&mut self, news: News) {
        let due = Instant::now();
        let due = match &news {
            // A file is no object of the API.
            News::Problem(problem) if problem.object.kind == "File" => return,
            News::Problem(problem) if problem.reason.may_pass() => due + GRACE,
            News::Problem(_) | News::Accepted(_) => due,
            News::Over(problem) => {
                let is_of = |it: &Waiting| matches!(&it.news, News::Problem(it) if it == problem);
                return self.waiting.retain(|it| !is_of(it));
            }
        };
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { due, news });
    }

    /// When something that could not be told yet can be.
    fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let dues = self.waiting.iter().map(|it| it.due);
        dues.filter(|due| *due > now).min()
    }

    fn tell(&mut self) {
        self.waiting.retain(|it| it.due.elapsed() < WAIT);
        if !self.leadership.is_held() {
            return;
        }
        let now = Instant::now();
        for Waiting { due, news } in std::mem::take(&mut self.waiting) {
            match news {
                news if due > now => self.waiting.push_back(Waiting { due, news }),
                // The log has it.
                News::Problem(problem) => self.recorder.send_standing(of_problem(problem)),
                News::Accepted(accepted) => self.recorder.record(of_accepted(accepted)),
                News::Over(_) => {}
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

#[cfg(test)]
mod tests {
    use fairway_cluster::Reason;
    use fairway_model::ObjectName;

    use super::*;

    fn problem(reason: Reason, name: &str) -> Problem {
        Problem {
            object: ObjectRef {
                kind: "Ingress",
                name: ObjectName::new("shop", name),
            },
            field: String::new(),
            message: String::new(),
            reason,
        }
    }

    fn untold(announcer: &Announcer) -> usize {
        announcer.waiting.len()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_soon_is_not_told() {
        let (sender, news) = mpsc::channel(8);
        let mut announcer = Announcer::new(news, Leadership::always(), EventRecorder::log());
        let [short, long] = ["short", "long"].map(|name| problem(Reason::NoEndpoints, name));
        for news in [
            News::Problem(short.clone()),
            News::Problem(long),
            News::Problem(problem(Reason::BackendNotFound, "short")),
        ] {
            announcer.take_in(news);
        }
        announcer.tell();
        assert_eq!(untold(&announcer), 2, "what does not pass is told at once");
        announcer.take_in(News::Over(short));
        assert_eq!(untold(&announcer), 1);
        sleep_until(announcer.next_due().unwrap()).await;
        announcer.tell();
        assert_eq!(untold(&announcer), 0);
        drop(sender);
    }
}
