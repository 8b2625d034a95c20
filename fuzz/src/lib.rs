//! What must hold for every input, target by target.
//!
//! Each target is a function of bytes that panics when something does not hold. It runs under libFuzzer
//! (`fuzz_targets`), under a runner of our own that needs no nightly compiler (`src/main.rs`), and as a
//! test over the committed corpus and some thousands of changed copies of it (`tests/corpus.rs`).

pub mod gate;
mod generate;
pub mod host;
pub mod ingress;
pub mod path;
pub mod proxy_header;
pub mod response;

use std::fs;
use std::path::Path;

pub use generate::Generator;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As its corpus is called.
    pub name: &'static str,
    /// Panics when something does not hold.
    pub check: fn(&[u8]),
    /// Pieces that inputs of this kind are made of.
    pub pieces: &'static [&'static [u8]],
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "host",
        check: host::check,
        pieces: host::PIECES,
    },
    Target {
        name: "path",
        check: path::check,
        pieces: path::PIECES,
    },
    Target {
        name: "proxy_header",
        check: proxy_header::check,
        pieces: proxy_header::PIECES,
    },
    Target {
        name: "ingress",
        check: ingress::check,
        pieces: ingress::PIECES,
    },
    Target {
        name: "gate",
        check: gate::check,
        pieces: gate::PIECES,
    },
    Target {
        name: "response",
        check: response::check,
        pieces: response::PIECES,
    },
];

/// The committed inputs of a target, in the order of their names.
///
/// # Panics
///
/// When they cannot be read.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = fs::read_dir(directory.join(target)).expect("each target has a corpus");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort_unstable();
    let inputs = paths.iter().map(|path| fs::read(path).expect("a file"));
    inputs.collect()
}
