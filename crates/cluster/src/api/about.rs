//! What an API server says of itself.

use jiff::Timestamp;
use kube::Client;

/// What an API server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AboutServer {
    /// Its version, for example `v1.33.4`.
    pub version: String,
    /// How many seconds our clock is ahead of its; absent where it does not tell the time.
    pub ahead_seconds: Option<i64>,
}

/// Asks an API server for its version and the time.
///
/// # Errors
///
/// When it cannot be reached or does not let us in.
pub async fn about_server(client: &Client) -> Result<AboutServer, kube::Error> {
    let request = http::Request::get("/version").body(kube::client::Body::empty());
    let response = client
        .send(request.map_err(kube::Error::HttpError)?)
        .await?;
    let date = response.headers().get(http::header::DATE);
    let date = date.and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let ahead = date.map(|date| Timestamp::now().duration_since(date.timestamp()));
    Ok(AboutServer {
        version: client.apiserver_version().await?.git_version,
        ahead_seconds: ahead.map(|ahead| ahead.as_secs()),
    })
}
