//! A request, as a person would make it with curl.

use std::fmt;
use std::net::SocketAddr;

use fairway_testkit::ask::{self, AskError, Response};
use fairway_testkit::lab::Namespace;

/// Displayed, the command that makes it.
#[derive(Clone, Debug)]
pub(super) struct Curl {
    from: Namespace,
    server: SocketAddr,
    host: Option<&'static str>,
    path: &'static str,
}

impl Curl {
    /// `GET /` of a server, from inside a namespace.
    pub(super) fn new(from: &Namespace, server: SocketAddr) -> Self {
        Self {
            from: from.clone(),
            server,
            host: None,
            path: "/",
        }
    }

    /// For a host that the server's address does not say, and a path of it.
    pub(super) fn host(self, host: &'static str, path: &'static str) -> Self {
        Self {
            host: Some(host),
            path,
            ..self
        }
    }

    /// The machine it is sent from.
    pub(super) fn machine(&self) -> &str {
        self.from.name()
    }

    /// Sends it on a connection of its own.
    pub(super) fn send(&self) -> Result<Response, AskError> {
        let host = match self.host {
            Some(host) => host.to_owned(),
            None => self.authority(),
        };
        ask::http_get(&self.from, self.server, &host, self.path)
    }

    fn authority(&self) -> String {
        match self.server {
            SocketAddr::V4(server) if server.port() == 80 => server.ip().to_string(),
            SocketAddr::V6(server) if server.port() == 80 => format!("[{}]", server.ip()),
            server => server.to_string(),
        }
    }
}

impl fmt::Display for Curl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("curl ")?;
        if let Some(host) = self.host {
            write!(f, "-H 'Host: {host}' ")?;
        }
        // Some shells take brackets for a pattern of file names.
        let quote = if self.server.is_ipv6() { "'" } else { "" };
        write!(f, "{quote}http://{}{}{quote}", self.authority(), self.path)
    }
}
