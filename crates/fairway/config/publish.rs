//! Where the status of Ingresses comes from.

use fairway_cluster::Publish;
use fairway_model::ObjectName;
use serde::Serializer;

use super::ConfigError;
use super::setting::{PUBLISH_NODE_ADDRESSES, PUBLISH_SERVICE, PUBLISH_STATUS_ADDRESS, Setting};
use crate::args::StatusArgs;

/// Of the three ways at most one: what they say would not go together.
pub(super) fn parse(args: &StatusArgs) -> Result<Option<Publish>, ConfigError> {
    let mut ways: Vec<(Setting, Publish)> = Vec::new();
    if let Some(text) = &args.publish_service {
        ways.push((PUBLISH_SERVICE, Publish::Service(service(text)?)));
    }
    if !args.publish_status_address.is_empty() {
        let texts = args.publish_status_address.iter();
        let addresses = texts.map(|text| {
            let wrong =
                |error| ConfigError::value(&PUBLISH_STATUS_ADDRESS, text, format!("{error}"));
            text.parse().map_err(wrong)
        });
        let addresses = addresses.collect::<Result<_, _>>()?;
        ways.push((PUBLISH_STATUS_ADDRESS, Publish::Addresses(addresses)));
    }
    if args.publish_node_addresses {
        ways.push((PUBLISH_NODE_ADDRESSES, Publish::Nodes));
    }
    if let [(first, _), (second, _), ..] = &ways[..] {
        let problem = format!("goes not together with {first}: choose one");
        return Err(ConfigError::value(second, "", problem));
    }
    Ok(ways.pop().map(|(_, publish)| publish))
}

fn service(text: &str) -> Result<ObjectName, ConfigError> {
    let name = text.trim().split_once('/');
    let name = name.filter(|(namespace, name)| {
        !namespace.is_empty() && !name.is_empty() && !name.contains('/')
    });
    match name {
        Some((namespace, name)) => Ok(ObjectName::new(namespace, name)),
        None => Err(ConfigError::value(
            &PUBLISH_SERVICE,
            text,
            "expected NAMESPACE/NAME of a Service",
        )),
    }
}

pub(super) fn serialize<S: Serializer>(
    publish: &Option<Publish>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match publish {
        None => serializer.serialize_none(),
        Some(Publish::Service(name)) => serializer.serialize_str(&format!("Service {name}")),
        Some(Publish::Nodes) => serializer.serialize_str("Nodes"),
        Some(Publish::Addresses(addresses)) => {
            serializer.collect_seq(addresses.iter().map(ToString::to_string))
        }
    }
}
