//! Addresses to listen on.

use std::net::{IpAddr, SocketAddr};

use super::{ConfigError, Setting};

/// Where traffic is accepted: always with a port.
pub(super) fn listen(setting: &Setting, text: &str) -> Result<SocketAddr, ConfigError> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let problem = "expected an IP address and a port, like 0.0.0.0:8080 or [::]:8080";
        ConfigError::value(setting, text, problem)
    })
}

/// Where the agent answers for itself. As with kube-proxy, an address alone gets the usual port
/// and nothing at all means no server.
pub(super) fn admin(
    setting: &Setting,
    text: &str,
    usual_port: u16,
) -> Result<Option<SocketAddr>, ConfigError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Some(SocketAddr::new(ip, usual_port)));
    }
    listen(setting, text).map(Some)
}

/// Whether both cannot be had at once. A wildcard counts for both families.
pub(crate) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    // Port 0 asks for any that is free.
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}
