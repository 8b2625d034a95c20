//! Where memory comes from.
//!
//! A first list and its plan need several times the memory that is kept of them, mixed with what is
//! kept. jemalloc gives such memory back to the system; what was measured is in
//! `docs/decisions/0006-memory.md`.
#![allow(
    unsafe_code,
    reason = "an exported symbol is how jemalloc is configured before main"
)]

use std::ffi::{CStr, c_char};

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// `background_thread`: a thread of jemalloc's own gives pages back while all others sleep, as they do
/// once everything is programmed. `dirty_decay_ms`: a second after they were freed, long enough for a
/// router under load to use them again. `muzzy_decay_ms`: so that they no longer count as resident.
/// `thp`: one small object must not keep 2 MiB.
const CONFIGURATION: &CStr =
    c"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,thp:never";

/// As C sees a text.
#[repr(transparent)]
struct Text(*const c_char);

// SAFETY: it points to a constant, which nobody writes.
unsafe impl Sync for Text {}

// SAFETY: name and type are those of jemalloc's `malloc_conf`, with the prefix that the crate gives to
// all of its symbols; nothing else in the program has that name.
#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: Text = Text(CONFIGURATION.as_ptr());
