use std::rc::Rc;

use super::client_tls::ClientTls;
use crate::config::Protocol;

/// How an endpoint is spoken to. Connections are used again only by requests that want the same.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<Rc<ClientTls>>,
}

impl Transport {
    /// The same, for a request that may leave HTTP: with HTTP/2 it could not.
    pub(crate) fn for_upgrade(&self) -> Self {
        Self {
            protocol: Protocol::Http1,
            tls: self.tls.clone(),
        }
    }

    /// The scheme of a request's target.
    pub(crate) fn scheme(&self) -> http::uri::Scheme {
        match self.tls {
            Some(_) => http::uri::Scheme::HTTPS,
            None => http::uri::Scheme::HTTP,
        }
    }
}

impl PartialEq for Transport {
    fn eq(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (None, None) => true,
            (Some(one), Some(other)) => Rc::ptr_eq(one, other),
            _ => false,
        };
        self.protocol == other.protocol && same_tls
    }
}
