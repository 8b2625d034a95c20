//! Who is too slow, and who is told.

#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Answer, Phase, Stall, Upload, Watch};
use crate::clock::Tick;
use crate::config::Timeouts;

impl Watch {
    /// Runs `future` until it is ready or somebody is too slow.
    pub(crate) fn guard<F: Future>(
        &self,
        mut future: Pin<&mut F>,
    ) -> impl Future<Output = Result<F::Output, Stall>> {
        poll_fn(move |context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => match self.stall.take() {
                Some(stall) => Poll::Ready(Err(stall)),
                None => Poll::Pending,
            },
        })
    }

    /// Polls `serving`, and again when somebody is overdue: whoever waits for the slow party may still
    /// turn that into an answer. A stall that nobody deals with is the end.
    pub(crate) fn supervise<T>(
        &self,
        context: &mut Context<'_>,
        mut serving: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Result<T, Stall>> {
        if let Poll::Ready(done) = serving(context) {
            return Poll::Ready(Ok(done));
        }
        if !self.overdue(context) {
            return Poll::Pending;
        }
        if let Poll::Ready(done) = serving(context) {
            return Poll::Ready(Ok(done));
        }
        match self.stall.take() {
            Some(stall) => {
                self.cut.set(stall == Stall::ClientWrite);
                Poll::Ready(Err(stall))
            }
            None => {
                self.overdue(context);
                Poll::Pending
            }
        }
    }

    /// Whether the client was given up on because of how it reads its response.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// The stall that nobody has dealt with yet.
    pub(crate) fn take_stall(&self) -> Option<Stall> {
        self.stall.take()
    }

    /// Looks who is overdue: true if somebody is, who is then found by [`Watch::take_stall`].
    fn overdue(&self, context: &Context<'_>) -> bool {
        self.deadline.register(context);
        let (at, stall) = self.due();
        if self.clock.now() >= at {
            self.stall.set(Some(stall));
            return true;
        }
        self.deadline.arm(at);
        false
    }

    pub(super) fn rearm(&self) {
        self.deadline.arm(self.due().0);
    }

    /// The earliest limit that applies now.
    fn due(&self) -> (Tick, Stall) {
        let phase = match self.phase.get() {
            Phase::Idle { since } if self.deadline.is_shed() => (since, Stall::Idle),
            Phase::Idle { since } => (since.after(self.timeouts.idle), Stall::Idle),
            Phase::Head { since } => (since.after(self.timeouts.head), Stall::Head),
            Phase::Connecting { since, limit } => (since.after(limit), Stall::Connect),
            Phase::Exchanging { answer } => earlier(self.upload_due(), self.answer_due(answer)),
            Phase::Accepted | Phase::Retired => NEVER,
        };
        match self.write_blocked.get() {
            Some(since) => earlier(phase, (self.write_due(since), Stall::ClientWrite)),
            None => phase,
        }
    }

    /// When a client that is to send the next byte of its body since then is too slow.
    pub(super) fn body_due(&self, since: Tick) -> Tick {
        let Timeouts { body_rate, .. } = *self.timeouts;
        self.sending.due(since, self.client_read.get(), body_rate)
    }

    /// When a client that is to take what there is of its response since then is too slow.
    pub(super) fn write_due(&self, since: Tick) -> Tick {
        let Timeouts {
            write, write_rate, ..
        } = *self.timeouts;
        self.taking.due(since, write, write_rate)
    }

    fn upload_due(&self) -> (Tick, Stall) {
        match self.upload.get() {
            Upload::Client(since) => (self.body_due(since), Stall::RequestBody),
            Upload::Upstream(since) => {
                (since.after(self.upstream_write.get()), Stall::UpstreamWrite)
            }
            Upload::Complete(_) | Upload::Abandoned(_) => NEVER,
        }
    }

    fn answer_due(&self, answer: Answer) -> (Tick, Stall) {
        match (answer, self.upload.get()) {
            (Answer::Upstream(since), Upload::Complete(over) | Upload::Abandoned(over)) => (
                since.max(over).after(self.upstream_read.get()),
                Stall::UpstreamRead,
            ),
            // Somebody is busy with the request's body, and has a limit for that.
            (Answer::Upstream(_), Upload::Client(_) | Upload::Upstream(_)) => NEVER,
            // The socket knows better, unless other requests use it, too.
            (Answer::Client(since), _) if self.multiplexed => {
                (self.write_due(since), Stall::ClientWrite)
            }
            (Answer::Client(_) | Answer::Complete, _) => NEVER,
        }
    }
}

const NEVER: (Tick, Stall) = (Tick::NEVER, Stall::Idle);

fn earlier(one: (Tick, Stall), other: (Tick, Stall)) -> (Tick, Stall) {
    if other.0 < one.0 { other } else { one }
}
