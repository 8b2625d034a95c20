//! How many instructions the pure parts of fairway take, beside a committed baseline.
//!
//! ```text
//! main (in valgrind, once for each Work) -> callgrind -> Count -> Baseline::judge -> Report
//! ```
//!
//! Times on a machine that does other things tell little; instructions tell the same every time. They are no
//! times: what waits for memory costs more than they say.

pub mod baseline;
pub mod callgrind;
pub mod toolchain;
