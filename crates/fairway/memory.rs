//! Gives free memory back to the system.
//!
//! A list and its plan need several times the memory that is kept of them, mixed with what is kept.
//! glibc gives back by itself only what is free at the end of a heap, mimalloc only while somebody allocates. What else
//! was tried, and what each gave, is in `docs/decisions/0010-memory.md` and, for the image, in
//! `docs/decisions/0017-static-image.md`.
#![allow(unsafe_code, reason = "the C library offers nothing safe for it")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairway_model::Update;

/// Somebody waits to give back what is free [`AFTERWARDS`].
static IS_DUE: AtomicBool = AtomicBool::new(false);

/// So much later, what other threads needed for a list is free too: encoding, the look at flows.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// An update of as many Services is a list rather than a change. Looking through the heaps takes
/// milliseconds, so single changes are not followed by it.
const MANY: usize = 1_000;

/// An update that has been taken in by all.
pub(crate) fn updated(update: Update) {
    let is_list = update.changes.services.len() >= MANY;
    drop(update);
    if is_list {
        give_back();
        if !IS_DUE.swap(true, Ordering::Relaxed) {
            tokio::spawn(async {
                tokio::time::sleep(AFTERWARDS).await;
                IS_DUE.store(false, Ordering::Relaxed);
                give_back();
            });
        }
    }
}

#[cfg(target_env = "gnu")]
fn give_back() {
    let started = std::time::Instant::now();
    // SAFETY: it may be called by any thread at any time, and touches no memory that is in use.
    unsafe { libc::malloc_trim(0) };
    tracing::debug!(took = ?started.elapsed(), "gave free memory back");
}

/// Copies and comparisons of the image, instead of musl's.
#[cfg(target_env = "musl")]
use fairway_libc_memory as _;

/// The allocator of the image; musl's own has one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(target_env = "musl")]
fn give_back() {
    // mimalloc's own, for which its crate would want another one.
    unsafe extern "C" {
        fn mi_collect(force: bool);
    }
    let started = std::time::Instant::now();
    // SAFETY: it may be called by any thread at any time, and touches no memory that is in use.
    unsafe { mi_collect(true) };
    tracing::debug!(took = ?started.elapsed(), "gave free memory back");
}

#[cfg(not(any(target_env = "gnu", target_env = "musl")))]
fn give_back() {}
