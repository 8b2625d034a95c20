//! Where objects come from: an API server or a directory of manifests. Both speak [`Event`]s, which
//! one index turns into snapshots of the model.
//!
//! ```text
//! api (watch) ------+
//!                   +--> Event --> Index --> Update (Snapshot + Changes)
//! manifests (files)-+
//! ```

mod api;
mod classes;
mod cluster;
mod connection;
mod convert;
mod decode;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod leader;
mod manifests;
mod news;
mod options;
mod problem;
mod recorder;
mod status;
mod tls;

pub use api::{
    AboutServer, ClientError, Lack, LackingKind, Right, Trouble, about_server, client,
    denied_verbs, lacking_kinds,
};
pub use cluster::{Cluster, LoadError, Source, StartError, Still, load};
pub use connection::Connection;
pub use convert::host::host_pattern;
pub use event::{Event, Kind, Object};
pub use leader::{Candidate, Leadership};
pub use news::{Accepted, News};
pub use options::Options;
pub use problem::{Problem, ProblemMetrics, Reason};
pub use recorder::{EventRecorder, ObjectEvent, Severity};
pub use status::{AddressError, Publish, Publisher, StatusAddress};
pub use tls::{Certificate, Certificates, HostCertificates, Secret};
