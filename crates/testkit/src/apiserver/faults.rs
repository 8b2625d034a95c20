use std::time::Duration;

use super::failure::Failure;
use super::target::{Target, Verb};

/// A way to misbehave, and for which requests.
///
/// ```
/// use fairway_testkit::apiserver::{Effect, Failure, Fault, Verb};
///
/// // The second page of the next list of Services breaks off half-way.
/// let fault = Fault::new(Effect::Cut).on(Verb::List).of("services").after_first_page().once();
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    verb: Option<Verb>,
    plural: Option<&'static str>,
    name: Option<String>,
    continued: bool,
    times: Option<u32>,
    effect: Effect,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Effect {
    /// It is refused.
    Answer(Failure),
    /// A watch begins, and ends at once with an event that says 410.
    ExpiredEvent,
    /// The answer breaks off half-way, with the connection. A watch breaks off before its first event.
    Cut,
    /// The connection is closed instead of an answer.
    Disconnect,
    /// The answer comes after a while.
    Delay(Duration),
    /// The answer comes in pieces.
    Slow {
        /// Bytes a piece.
        chunk: usize,
        /// Before each piece.
        pause: Duration,
    },
}

impl Fault {
    /// For all requests, until [`heal`](super::ApiServer::heal).
    pub fn new(effect: Effect) -> Self {
        Self {
            verb: None,
            plural: None,
            name: None,
            continued: false,
            times: None,
            effect,
        }
    }

    /// The client may do nothing with a kind (403).
    pub fn forbid(plural: &'static str) -> Self {
        let message = format!(
            "{plural} is forbidden: User \"test\" cannot access resource {plural:?} at the cluster scope"
        );
        Self::new(Effect::Answer(Failure::forbidden(message))).of(plural)
    }

    /// The server does not have a kind (404).
    pub fn absent(plural: &'static str) -> Self {
        Self::new(Effect::Answer(Failure::no_such_api())).of(plural)
    }

    /// Only for requests of a verb.
    #[must_use]
    pub fn on(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Only for a kind, given as in the URL, for example `services`.
    #[must_use]
    pub fn of(mut self, plural: &'static str) -> Self {
        self.plural = Some(plural);
        self
    }

    /// Only for an object, in whatever namespace.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only for lists that are continued.
    #[must_use]
    pub fn after_first_page(mut self) -> Self {
        self.continued = true;
        self
    }

    /// Only for the next request.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Only for so many requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// The faults in force, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn heal(&mut self) {
        self.0.clear();
    }

    /// Whether a client may do something, as far as it is forbidden for good.
    pub(super) fn allows(&self, verb: &str, plural: &str) -> bool {
        !self.0.iter().any(|fault| {
            matches!(&fault.effect, Effect::Answer(failure) if failure.code == 403)
                && fault.verb.is_none_or(|it| it.to_string() == verb)
                && fault.plural.is_none_or(|it| it == plural)
                && fault.name.is_none()
        })
    }

    /// What is to happen to a request; uses up one of a fault's times.
    pub(super) fn strike(
        &mut self,
        verb: Verb,
        target: &Target,
        continued: bool,
    ) -> Option<Effect> {
        let index = self.0.iter().position(|fault| {
            fault.verb.is_none_or(|v| v == verb)
                && fault.plural.is_none_or(|p| p == target.resource.plural)
                && (fault.name.is_none() || fault.name == target.name)
                && (continued || !fault.continued)
        })?;
        let fault = &mut self.0[index];
        let effect = fault.effect.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.0.remove(index);
            }
        }
        Some(effect)
    }
}
