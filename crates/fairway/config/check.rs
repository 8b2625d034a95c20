//! Checks of single names, and of what does not go together.

use super::{Config, ConfigError, HEALTHZ, HTTP_ADDRESS, METRICS, address};

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !self.service_proxy && !self.ingress {
            return Err(ConfigError::NothingToDo);
        }
        self.check_ports()
    }

    fn check_ports(&self) -> Result<(), ConfigError> {
        let traffic = self.router.http_addresses.iter();
        let traffic = traffic
            .filter(|_| self.ingress)
            .map(|it| (HTTP_ADDRESS, *it));
        let health = self.admin.healthz_bind_address.map(|it| (HEALTHZ, it));
        let metrics = self.admin.metrics_bind_address.map(|it| (METRICS, it));
        let all: Vec<_> = traffic.chain(health).chain(metrics).collect();

        for (index, (flag, address)) in all.iter().enumerate() {
            for (other_flag, other) in &all[..index] {
                if address::overlap(*address, *other) {
                    return Err(ConfigError::SamePort {
                        flag,
                        address: *address,
                        other_flag,
                        other: *other,
                    });
                }
            }
        }
        Ok(())
    }
}

pub(super) fn ingress_class(name: String) -> Result<String, ConfigError> {
    match name.trim() {
        "" => Err(ConfigError::value(
            "--ingress-class",
            &name,
            "a class needs a name; to serve Ingresses without one, use \
             --watch-ingress-without-class",
        )),
        trimmed => Ok(trimmed.to_owned()),
    }
}

/// The API allows a domain and a path here and nothing else, so another value matches no class.
pub(super) fn controller(name: String) -> Result<String, ConfigError> {
    let trimmed = name.trim();
    match trimmed.split_once('/') {
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => Ok(trimmed.to_owned()),
        _ => Err(ConfigError::value(
            "--controller",
            &name,
            "expected the spec.controller of an IngressClass, like fairway.dev/ingress",
        )),
    }
}
