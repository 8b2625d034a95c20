//! Networks in CIDR notation.

use std::net::IpAddr;

use ipnet::IpNet;

use super::setting::{CLUSTER_CIDR, TRUSTED_PROXIES};
use super::{ConfigError, Setting};

/// None, one, or one of each family.
pub(super) fn cluster_cidrs(text: &str) -> Result<Vec<IpNet>, ConfigError> {
    let mut networks: Vec<IpNet> = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let network = parse(&CLUSTER_CIDR, part)?;
        let is_ipv4 = |network: &IpNet| network.addr().is_ipv4();
        if let Some(first) = networks.iter().find(|it| is_ipv4(it) == is_ipv4(&network)) {
            return Err(ConfigError::SameFamily {
                setting: CLUSTER_CIDR,
                first: *first,
                second: network,
            });
        }
        networks.push(network);
    }
    Ok(networks)
}

/// A network, or the one address that an operator may name instead.
pub(super) fn trusted(text: &str) -> Result<IpNet, ConfigError> {
    let text = text.trim();
    match text.parse::<IpAddr>() {
        Ok(ip) => Ok(IpNet::from(ip)),
        Err(_) => parse(&TRUSTED_PROXIES, text),
    }
}

pub(super) fn parse(setting: &Setting, text: &str) -> Result<IpNet, ConfigError> {
    let problem = "expected a network like 10.244.0.0/16 or fd00:10:244::/56";
    let network: IpNet = text
        .parse()
        .map_err(|_| ConfigError::value(setting, text, problem))?;
    // Host bits are masked, as kube-proxy does.
    Ok(network.trunc())
}
