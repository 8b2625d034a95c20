//! Who answers what no Ingress does.

use fairway_model::{Backend, BackendPort, ObjectName, Port};
use serde::Serializer;

use super::ConfigError;
use super::check::is_name;
use super::setting::DEFAULT_BACKEND_SERVICE;

/// That of most Services that speak HTTP.
const PORT: &str = "80";

/// `namespace/name`, as for ingress-nginx, and a port, which it takes from the Service.
pub(super) fn parse(text: &str) -> Result<Backend, ConfigError> {
    let backend = || {
        let (namespace, rest) = text.trim().split_once('/')?;
        let (name, port) = rest.split_once(':').unwrap_or((rest, PORT));
        let port = match port.parse().map(Port::new) {
            Ok(number) => BackendPort::Number(number?),
            Err(_) => BackendPort::Name(Some(port).filter(|it| is_port_name(it))?.into()),
        };
        (is_name(namespace) && is_name(name)).then(|| Backend {
            service: ObjectName::new(namespace, name),
            port,
            weight: 1,
        })
    };
    backend().ok_or_else(|| {
        let problem = "expected the namespace and name of a Service and its port, like ingress/default-backend:80";
        ConfigError::value(&DEFAULT_BACKEND_SERVICE, text, problem)
    })
}

/// RFC 6335, as the API has it: a number is none.
fn is_port_name(text: &str) -> bool {
    text.len() <= 15 && is_name(text) && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

pub(super) fn serialize<S: Serializer>(
    backend: &Option<Backend>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = backend
        .as_ref()
        .map(|backend| format!("{}:{}", backend.service, backend.port));
    serde::Serialize::serialize(&text, serializer)
}
