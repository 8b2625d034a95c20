use std::borrow::Cow;
use std::sync::Arc;

use fairway_model::{
    Filter, HostPattern, Redirect, RequestPolicy, RuleId, UpstreamPolicy, WildcardSpan,
};

use crate::{Host, Path, Rewrite, Upstream};

mod check;
mod compile;
mod condition;
mod hosts;
#[cfg(test)]
mod naive;
mod precedence;
mod problem;
mod table;
#[cfg(test)]
mod tests;
mod trace;

pub use check::check;
pub(crate) use compile::compile;
pub use condition::Unmet;
pub(crate) use condition::regex_from_start;
pub use problem::{Problem, RuleError};
pub(crate) use table::HostTable;
pub use trace::{Advantage, Considered, Trace};

use condition::NoFields;

/// All routes, immutable and cheap to share.
#[derive(Clone, Debug, Default)]
pub struct Index {
    exact: HostMap,
    one_label: HostMap,
    one_or_more_labels: HostMap,
    any: Option<Arc<HostTable>>,
}

/// Tables by host, or by what follows `*.`. Persistent: an index shares with the one before it all
/// hosts that did not change.
type HostMap = rpds::HashTrieMapSync<Arc<str>, Arc<HostTable>, foldhash::quality::RandomState>;

/// The parts of a request that routes look at.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The host.
    pub host: &'a Host,
    /// The path.
    pub path: &'a Path<'a>,
    /// The method, as sent.
    pub method: &'a str,
}

/// The parts of a request that few routes look at, found when one asks.
pub trait Fields {
    /// The value of a header by its lower-case name; several values of one header joined by commas.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// The first value of a query parameter, decoded.
    fn query_parameter(&self, name: &str) -> Option<Cow<'_, [u8]>>;
}

/// A compiled rule.
#[derive(Debug)]
pub struct Route {
    /// Where it was declared.
    pub id: RuleId,
    /// The host entry it belongs to; the only host that metrics may name.
    pub host: HostPattern,
    /// The path as declared, for metrics and logs.
    pub path: Arc<str>,
    /// Applied in order before the target.
    pub filters: Vec<Filter>,
    /// Another path, for the upstream or for where a redirect leads.
    pub rewrite: Option<Rewrite>,
    /// What answers.
    pub target: Target,
    /// How the upstream is spoken to.
    pub policy: Arc<UpstreamPolicy>,
    /// What requests may be.
    pub requests: Arc<RequestPolicy>,
}

/// What answers a request.
#[derive(Debug)]
pub enum Target {
    /// One of these, by weight (never all 0, never empty).
    Forward(Vec<(u32, Arc<Upstream>)>),
    /// A redirect.
    Redirect(Redirect),
    /// A status of our own.
    Respond(u16),
}

impl Index {
    /// The route for a request, or None where the answer is 404. A rule that asks for headers or query
    /// parameters matches nothing here; see [`Index::find_with`].
    ///
    /// Does not allocate, apart from the scratch space of regular expressions when they are first used.
    pub fn find(&self, request: Request<'_>) -> Option<&Route> {
        self.find_with(request, &NoFields)
    }

    /// As [`Index::find`], with the headers and the query.
    pub fn find_with(&self, request: Request<'_>, fields: &dyn Fields) -> Option<&Route> {
        let table = self.table_for(request.host)?;
        table.find(&request.path.matched, request.method, fields)
    }
}
