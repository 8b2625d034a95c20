use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// Repeats an attempt until it succeeds, and returns what it succeeded with.
///
/// For what takes effect in its own time, such as a changed manifest. The time only bounds how long
/// a test that fails takes.
///
/// # Panics
///
/// When it has not succeeded within 10 s, with the last error.
pub fn eventually<T, E: Debug>(what: &str, mut attempt: impl FnMut() -> Result<T, E>) -> T {
    const PATIENCE: Duration = Duration::from_secs(10);
    // Often enough to measure what should happen within a second.
    const PAUSE: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(success) => return success,
            Err(error) if Instant::now() > deadline => {
                panic!("not within {PATIENCE:?}: {what}; at last: {error:?}")
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
