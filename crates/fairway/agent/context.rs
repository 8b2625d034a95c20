use fairway_cluster::{EventRecorder, Options, Source};

use super::instruments::Instruments;
use crate::config::Config;

/// What all parts of an agent with one configuration use.
pub(super) struct Context<'a> {
    pub(super) config: &'a Config,
    /// Where objects come from ...
    pub(super) source: Source,
    /// ... and which ones, read in which way.
    pub(super) options: Options,
    /// Where Events about them go.
    pub(super) recorder: EventRecorder,
    pub(super) instruments: Instruments,
}
