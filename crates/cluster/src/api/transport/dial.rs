use std::sync::Arc;

use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, ResolveServerName};
use hyper_util::client::legacy::connect::HttpConnector;
use kube::Config;
use kube::client::ConfigExt;
use rustls::pki_types::ServerName;

/// Opens TCP connections with TLS in them.
pub(super) type Connector = hyper_rustls::HttpsConnector<HttpConnector>;

/// A connector that offers a server only these protocols.
///
/// # Errors
///
/// When certificates, keys or names of the configuration are not usable.
pub(super) fn connector(config: &Config, protocols: &[&[u8]]) -> Result<Connector, kube::Error> {
    let mut tls = config.rustls_client_config()?;
    tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let names: Arc<dyn ResolveServerName + Send + Sync> = match &config.tls_server_name {
        Some(name) => {
            let name = ServerName::try_from(name.clone())
                .map_err(|error| kube::Error::Service(Box::new(error)))?;
            Arc::new(FixedServerNameResolver::new(name))
        }
        None => Arc::new(DefaultServerNameResolver::default()),
    };
    Ok(Connector::new(tcp, tls, true, names))
}
