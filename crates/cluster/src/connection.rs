use std::fmt;
use std::sync::Arc;

use kube::Client;

use crate::api::Report;

/// A client of an API server, and what the server does not let it have. Clones share both.
#[derive(Clone)]
pub struct Connection {
    pub(crate) client: Client,
    pub(crate) report: Arc<Report>,
}

impl From<Client> for Connection {
    /// Of which nothing bad is known yet.
    fn from(client: Client) -> Self {
        Self {
            client,
            report: Arc::default(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}
