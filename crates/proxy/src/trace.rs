//! Trace context (W3C): which trace a request belongs to, and what is told of it.
//!
//! Off, the headers pass untouched. On, each request is a span: the client's trace goes on, or one is
//! started, and the endpoint is told our span as its parent. Whether the trace is recorded, whoever
//! started it has decided; where that is us, chance does. Recorded spans go to whoever exports them through
//! a bounded channel: a request never waits for it.

mod context;
mod span;
#[cfg(test)]
mod tests;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;

use crate::random::Random;
pub(crate) use context::Context;
pub use span::{Span, SpanRoute};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What happens to traces.
#[derive(Clone, Debug, Default)]
pub struct Tracing {
    /// Whether requests become spans; else the headers pass untouched.
    pub enabled: bool,
    /// How many of the traces that start here are recorded: 0.0 none, 1.0 all.
    pub sample_ratio: f64,
    /// Whether only trusted proxies may send a trace to go on with; anybody else's starts anew.
    pub trusted_only: bool,
    /// Where recorded spans go.
    pub spans: Option<SpanSender>,
}

/// Hands recorded spans over; what finds no room is dropped and counted.
#[derive(Clone, Debug)]
pub struct SpanSender(mpsc::Sender<Span>);

/// Room for that many spans, and where they arrive.
pub fn spans(room: usize) -> (SpanSender, mpsc::Receiver<Span>) {
    let (sender, receiver) = mpsc::channel(room);
    (SpanSender(sender), receiver)
}

impl SpanSender {
    /// Whether there was room.
    pub(crate) fn send(&self, span: Span) -> bool {
        self.0.try_send(span).is_ok()
    }
}

/// The trace of one request.
#[derive(Debug)]
pub(crate) struct Trace {
    /// With ours as the span; the client's, where we are none.
    pub(crate) context: Context,
    /// Our span's parent.
    pub(crate) parent: Option<[u8; 8]>,
    /// Whether there is a span of ours.
    pub(crate) is_ours: bool,
}

impl Tracing {
    /// Finds the trace of a request; `logged` says whether anybody wants to know where there are no
    /// spans of ours.
    pub(crate) fn begin(
        &self,
        headers: &HeaderMap,
        trusted: bool,
        logged: bool,
        random: &Random,
    ) -> Option<Trace> {
        if !self.enabled && !logged {
            return None;
        }
        let parent = only(headers).and_then(Context::parse);
        if !self.enabled {
            return parent.map(|context| Trace {
                context,
                parent: None,
                is_ours: false,
            });
        }
        let parent = parent.filter(|_| trusted || !self.trusted_only);
        let span = random.number() as u64;
        let (trace_id, sampled) = match &parent {
            Some(parent) => (parent.trace_id, parent.sampled),
            None => {
                let sampled = random.fraction() < self.sample_ratio;
                (random.number().max(1).to_be_bytes(), sampled)
            }
        };
        Some(Trace {
            context: Context {
                trace_id,
                span_id: span.max(1).to_be_bytes(),
                sampled,
            },
            parent: parent.map(|parent| parent.span_id),
            is_ours: true,
        })
    }
}

impl Trace {
    /// Tells the endpoint.
    pub(crate) fn forward(&self, headers: &mut HeaderMap, random: &Random) {
        if !self.is_ours {
            return;
        }
        if self.parent.is_none() {
            // It belongs to a trace that does not go on (section 3.3.1.4).
            headers.remove(TRACESTATE);
        }
        headers.insert(TRACEPARENT, random.text(&self.context.text()));
    }
}

/// The header, where there is exactly one.
fn only(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
