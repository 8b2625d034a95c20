//! Checks of single names, and of what does not go together.

use super::setting::{
    BURST, CONFIG_SYNC_PERIOD, CONTROLLER, DEFAULT_TLS_SECRET, HEALTHZ, HTTP_ADDRESS,
    HTTPS_ADDRESS, INGRESS_CLASS, IPTABLES_BIT, IPTABLES_SYNC, IPVS_SYNC, METRICS, NFTABLES_BIT,
    NFTABLES_SYNC, OOM_SCORE_ADJ, PROXY_MODE,
};
use super::{Config, ConfigError, KubeProxyConfiguration, address};

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !self.service_proxy && !self.ingress {
            return Err(ConfigError::NothingToDo);
        }
        self.check_ports()
    }

    fn check_ports(&self) -> Result<(), ConfigError> {
        let http = self.router.http_addresses.iter();
        let http = http.map(|it| (HTTP_ADDRESS, *it));
        let https = self.router.https_addresses.iter();
        let https = https.map(|it| (HTTPS_ADDRESS, *it));
        let traffic = http.chain(https).filter(|_| self.ingress);
        let health = self.admin.healthz_bind_address.map(|it| (HEALTHZ, it));
        let metrics = self.admin.metrics_bind_address.map(|it| (METRICS, it));
        let all: Vec<_> = traffic.chain(health).chain(metrics).collect();

        for (index, (setting, address)) in all.iter().enumerate() {
            for (other_setting, other) in &all[..index] {
                if address::overlap(*address, *other) {
                    return Err(ConfigError::SamePort {
                        setting: setting.clone(),
                        address: *address,
                        other: Box::new((other_setting.clone(), *other)),
                    });
                }
            }
        }
        Ok(())
    }
}

/// What kube-proxy refuses, so that a file is good for both.
pub(super) fn kube_proxy(config: &KubeProxyConfiguration) -> Result<(), ConfigError> {
    if let Some(mode) = config.mode.as_deref()
        && !["iptables", "ipvs", "nftables"].contains(&mode)
    {
        let problem = "expected nftables, iptables or ipvs";
        return Err(ConfigError::value(&PROXY_MODE, mode, problem));
    }
    let (iptables, nftables, ipvs) = (&config.iptables, &config.nftables, &config.ipvs);
    for (setting, period, pause) in [
        (
            IPTABLES_SYNC,
            iptables.sync_period,
            iptables.min_sync_period,
        ),
        (
            NFTABLES_SYNC,
            nftables.sync_period,
            nftables.min_sync_period,
        ),
        (IPVS_SYNC, ipvs.sync_period, ipvs.min_sync_period),
        (CONFIG_SYNC_PERIOD, config.config_sync_period, None),
    ] {
        let Some(period) = period else { continue };
        let wrong = |problem: &str| ConfigError::value(&setting, &period.to_string(), problem);
        if period.is_zero() {
            return Err(wrong("must be greater than 0"));
        }
        if let Some(pause) = pause.filter(|pause| *pause > period) {
            return Err(wrong(&format!(
                "must not be shorter than minSyncPeriod, {pause}"
            )));
        }
    }
    for (setting, bit) in [
        (IPTABLES_BIT, iptables.masquerade_bit),
        (NFTABLES_BIT, nftables.masquerade_bit),
    ] {
        if let Some(bit) = bit.filter(|bit| !(0..32).contains(bit)) {
            let problem = "packet marks have the bits 0 to 31";
            return Err(ConfigError::value(&setting, &bit.to_string(), problem));
        }
    }
    let range = -1000..=1000;
    if let Some(score) = config.oom_score_adj.filter(|score| !range.contains(score)) {
        let problem = "must be between -1000 and 1000";
        return Err(ConfigError::value(
            &OOM_SCORE_ADJ,
            &score.to_string(),
            problem,
        ));
    }
    if let Some(burst) = config.client_connection.burst.filter(|burst| *burst < 0) {
        let problem = "must not be negative";
        return Err(ConfigError::value(&BURST, &burst.to_string(), problem));
    }
    Ok(())
}

pub(super) fn ingress_class(name: &str) -> Result<String, ConfigError> {
    match name.trim() {
        "" => Err(ConfigError::value(
            &INGRESS_CLASS,
            name,
            "a class needs a name; to serve Ingresses without one, use \
             --watch-ingress-without-class",
        )),
        trimmed => Ok(trimmed.to_owned()),
    }
}

/// Namespace and name of the default certificate's Secret.
pub(super) fn default_tls_secret(text: &str) -> Result<(String, String), ConfigError> {
    match text.trim().split_once('/') {
        Some((namespace, name)) if is_name(namespace) && is_name(name) => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err(ConfigError::value(
            &DEFAULT_TLS_SECRET,
            text,
            "expected the namespace and name of a Secret, like ingress/default-certificate",
        )),
    }
}

/// Whether an object can have this name.
pub(super) fn is_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed)
}

/// The API allows a domain and a path here and nothing else, so another value matches no class.
pub(super) fn controller(name: &str) -> Result<String, ConfigError> {
    let trimmed = name.trim();
    match trimmed.split_once('/') {
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => Ok(trimmed.to_owned()),
        _ => Err(ConfigError::value(
            &CONTROLLER,
            name,
            "expected the spec.controller of an IngressClass, like fairway.dev/ingress",
        )),
    }
}
