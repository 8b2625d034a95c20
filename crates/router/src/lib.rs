//! Which route a request takes: host, then path, then the rest of the match.
//!
//! A [`Builder`] turns the model's route table into an [`Index`], host by host, sharing what did not
//! change; [`Index::find`] is all that the request path calls. Precedence is an `Ord` summary, and the
//! compiled index is tested against a naive search that only compares summaries.
//!
//! ```text
//! Snapshot + Changes -> Builder -> Index -> HostTable -> Route -> Upstream -> Endpoints
//! Host header        -> Host  ─────┘           │
//! request target     -> Path  ─────────────────┘
//! ```

mod builder;
#[cfg(test)]
mod fixture;
mod host;
mod index;
mod path;
mod rewrite;
mod upstream;

pub use builder::Builder;
pub use host::{Host, InvalidHost};
pub use index::{
    Advantage, Considered, Fields, Index, Problem, Request, Route, RuleError, Target, Trace, Unmet,
    check,
};
pub use path::{InvalidPath, Path};
pub use rewrite::Rewrite;
pub use upstream::{Endpoints, Upstream, UpstreamKey, UsableEndpoint};
