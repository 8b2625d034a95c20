use std::path::{Path, PathBuf};
use std::time::Duration;

use http::uri::Scheme;
use kube::client::{ClientBuilder, ConfigExt};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::util::MapErrLayer;
use tower::{BoxError, ServiceBuilder};
use tower_http::decompression::DecompressionLayer;

use super::transport::{Limits, Pings, Transport};

/// What [`client`] allows, unless the environment says otherwise.
pub(super) const LIMITS: Limits = Limits {
    connect: Duration::from_secs(10),
    // API servers send a bookmark about every minute, so that a watch on which nothing happens is not
    // silent; after two of them are missing the server is gone.
    silence: Duration::from_secs(150),
    pings: Some(Pings::DEFAULT),
};

/// Why there is no client for the API server. Whether the server can be reached is not known yet.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig cannot be read.
    #[error("cannot read the kubeconfig {path}: {source}; check --kubeconfig", path = path.display())]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The kubeconfig is read but cannot be used.
    #[error("cannot use the kubeconfig {path}: {hint}{problem}", path = path.display(), problem = first_line(source))]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What to do, where there is something to say.
        hint: &'static str,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// Neither a kubeconfig nor a service account.
    #[error(
        "no service account: {0}; outside a cluster, name an API server with --kubeconfig FILE, \
         or do without one with --manifests DIR"
    )]
    InCluster(#[source] Box<InClusterError>),
    /// Certificates, keys or a proxy of the configuration are not usable.
    #[error(
        "cannot set up a client for the API server {url}: {source}; check its certificates and keys"
    )]
    Setup {
        /// The server.
        url: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
}

/// A transport error together with the server it is about.
#[derive(Debug, thiserror::Error)]
#[error("{url}")]
struct At {
    url: String,
    source: BoxError,
}

/// A client for the API server of a kubeconfig's current context, or with `None` for the one that
/// runs the pod we are in.
///
/// Does not speak to the server: it may be away now and come back later. Tokens are read again when
/// they are rotated. How soon a silent connection of HTTP/2 is found dead is taken from the variables
/// `HTTP2_READ_IDLE_TIMEOUT_SECONDS` (30) and `HTTP2_PING_TIMEOUT_SECONDS` (15), as client-go does.
///
/// # Errors
///
/// When there is no configuration, or not a usable one.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let limits = Limits {
        pings: Pings::from_environment(),
        ..LIMITS
    };
    client_with(kubeconfig, limits).await
}

/// The same with other limits.
pub(super) async fn client_with(
    kubeconfig: Option<&Path>,
    limits: Limits,
) -> Result<Client, ClientError> {
    let mut config = match kubeconfig {
        Some(path) => from_file(path).await?,
        None => Config::incluster().map_err(|error| ClientError::InCluster(Box::new(error)))?,
    };
    config.connect_timeout = Some(limits.connect);
    config.read_timeout = Some(limits.silence);
    // Else the time that a pooled connection was idle would count as silence.
    config.reset_reader_on_write = true;
    // kube would retry inside a request for minutes, unseen; our watchers retry and say so.
    config.default_retry = false;

    let url = config.cluster_url.to_string();
    let client = build(config, &url, limits).map_err(|source| ClientError::Setup {
        url: url.clone(),
        source: Box::new(source),
    })?;
    tracing::info!("API server: {url}");
    Ok(client)
}

fn build(config: Config, url: &str, limits: Limits) -> Result<Client, kube::Error> {
    let url = url.to_owned();
    let name_server = MapErrLayer::new(move |error| at(&url, error));
    // Without TLS there is no ALPN, and proxies are kube's affair.
    if config.cluster_url.scheme() != Some(&Scheme::HTTPS) || config.proxy_url.is_some() {
        let builder = ClientBuilder::try_from(config)?;
        return Ok(builder.with_layer(&name_server).build());
    }
    let gzip = DecompressionLayer::new().gzip(!config.disable_compression);
    let service = ServiceBuilder::new()
        .layer(name_server)
        .layer(config.base_uri_layer())
        .layer(gzip)
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .service(Transport::new(&config, limits)?);
    Ok(Client::new(service, config.default_namespace.clone()))
}

async fn from_file(path: &Path) -> Result<Config, ClientError> {
    let unusable = |source: KubeconfigError| match source {
        KubeconfigError::ReadConfig(source, path) => ClientError::Read { path, source },
        source => ClientError::Kubeconfig {
            path: path.to_owned(),
            hint: hint(&source),
            source: Box::new(source),
        },
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(unusable)
}

/// What a parser says of the place may quote the file, which has secrets.
fn first_line(error: &KubeconfigError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

fn hint(error: &KubeconfigError) -> &'static str {
    match error {
        KubeconfigError::CurrentContextNotSet => {
            "it names no current-context (kubectl config use-context NAME sets one): "
        }
        KubeconfigError::LoadContext(_) => "its current-context is not among its contexts: ",
        KubeconfigError::LoadClusterOfContext(_) => {
            "the cluster of its current-context is not among its clusters: "
        }
        _ => "",
    }
}

/// Names the server in errors of the transport; kube's own errors stay what they are, because
/// kube looks for them.
fn at(url: &str, error: BoxError) -> BoxError {
    if error.is::<kube::Error>() {
        return error;
    }
    let url = url.trim_end_matches('/').to_owned();
    Box::new(At { url, source: error })
}
