//! Checks of single names, and of what does not go together.

use super::{Config, ConfigError, HEALTHZ, HTTP_ADDRESS, HTTPS_ADDRESS, METRICS, address};

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

/// Namespace and name of the default certificate's Secret.
pub(super) fn default_tls_secret(text: String) -> Result<(String, String), ConfigError> {
    match text.trim().split_once('/') {
        Some((namespace, name)) if is_name(namespace) && is_name(name) => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err(ConfigError::value(
            "--default-tls-secret",
            &text,
            "expected the namespace and name of a Secret, like ingress/default-certificate",
        )),
    }
}

/// Whether an object can have this name.
fn is_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed)
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
