//! A network namespace for a moment.

#![allow(unsafe_code)]

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Runs `work` in a new, empty network namespace, which ends with it.
///
/// # Errors
///
/// When there is none to be had, for people.
pub(super) fn in_scratch_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: only `UnshareFlags::FILES` affects what other threads may assume.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
                .map_err(|error| format!("there is no network namespace to try it in: {error}"))?;
            Ok(work())
        });
        thread
            .join()
            .unwrap_or_else(|_| Err("the trial ended by itself".to_owned()))
    })
}
