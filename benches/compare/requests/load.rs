//! What asks the peers, on the other core.

mod clients;
pub(crate) mod connections;
pub(crate) mod h2load;
pub(crate) mod idle;
pub(crate) mod open_loop;
pub(crate) mod tls;
pub(crate) mod websocket;
pub(crate) mod wrk;

use std::time::Duration;

/// What came of a load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Answered as they should be.
    pub(crate) answered: u64,
    /// Not answered, or with another status than 200.
    pub(crate) failed: u64,
    pub(crate) elapsed: Duration,
}

/// The number after a word, with what stands between them skipped.
fn number_before(text: &str, word: &str) -> Option<u64> {
    let (before, _) = text.split_once(word)?;
    before.split_whitespace().next_back()?.parse().ok()
}
