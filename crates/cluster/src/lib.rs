//! Where objects come from: an API server or a directory of manifests. Both speak [`Event`]s, which
//! one index turns into snapshots of the model.
//!
//! ```text
//! api (watch) ------+
//!                   +--> Event --> Index --> Update (Snapshot + Changes)
//! manifests (files)-+
//! ```

mod event;

pub use event::{Event, Kind, Object};
