//! The program that is measured.

use std::env;
use std::path::PathBuf;

const VARIABLE: &str = "FAIRWAY";

/// The one that was built with the bench; or another, for example the image's.
pub(crate) fn path() -> PathBuf {
    env::var_os(VARIABLE).map_or_else(|| env!("CARGO_BIN_EXE_fairway").into(), PathBuf::from)
}

/// What readers should know of it.
pub(crate) fn described() -> Option<String> {
    let program = PathBuf::from(env::var_os(VARIABLE)?);
    let length = program.metadata().map_or(0, |metadata| metadata.len());
    let mebibytes = length as f64 / f64::from(1 << 20);
    let name = program.file_name().unwrap_or_default().display();
    Some(format!(
        "The agent that was started is a given one, {name} of {mebibytes:.1} MiB. "
    ))
}
