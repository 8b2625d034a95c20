//! From the API's types to the model's, one kind a file. Defaults are applied and every field is
//! checked here, once; what is wrong is reported and left out, the rest of the object works.

pub(crate) mod address;
mod balance;
pub(crate) mod host;
mod ignored;
pub(crate) mod ingress;
pub(crate) mod node;
pub(crate) mod path;
pub(crate) mod service;
pub(crate) mod slice;
pub(crate) mod trigger;
mod weights;

use fairway_model::{ObjectName, Port, Protocol};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::index::Interner;
use crate::problem::{Quoted, Report};

/// Namespace and name; none for an object without a name, which no API server serves.
pub(crate) fn object_name(metadata: &ObjectMeta, names: &mut Interner) -> Option<ObjectName> {
    let name = metadata.name.as_deref().filter(|name| !name.is_empty())?;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    Some(ObjectName {
        namespace: names.get(namespace),
        name: names.get(name),
    })
}

/// `creationTimestamp` in seconds since 1970; 0 where there is none, as in manifests.
pub(crate) fn created(metadata: &ObjectMeta) -> i64 {
    let time = metadata.creation_timestamp.as_ref();
    time.map_or(0, |time| time.0.as_second())
}

fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn port(value: i32) -> Option<Port> {
    u16::try_from(value).ok().and_then(Port::new)
}

/// An absent protocol is TCP; an unknown one is reported.
fn protocol(value: Option<&str>, field: &str, report: &mut Report) -> Option<Protocol> {
    match value {
        None | Some("" | "TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(other) => {
            report.invalid(
                format_args!("{field}.protocol"),
                format_args!(
                    "{} is none of TCP, UDP and SCTP; the port is left out",
                    Quoted(other)
                ),
            );
            None
        }
    }
}
