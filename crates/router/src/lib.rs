//! Which route a request takes: host, then path, then the rest of the match.
//!
//! A [`Builder`] turns the model's route table into an [`Index`], host by host, sharing what did not
//! change; [`Index::find`] is all that the request path calls. Precedence is an `Ord` summary, and the
//! compiled index is tested against a naive search that only compares summaries.

mod host;
mod index;
mod path;
mod upstream;

pub use host::{Host, InvalidHost};
pub use index::{Builder, Index, Request, Route, Target};
pub use path::{InvalidPath, Path};
pub use upstream::{Endpoints, Upstream, UpstreamKey};
