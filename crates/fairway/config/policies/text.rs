//! Single values, read from text. For `deserialize_with`: an absent one and null are None.

use std::sync::Arc;
use std::time::Duration;

use fairway_model::{HostPattern, ObjectName};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::config::check::is_name;
use crate::config::go_duration::GoDuration;

/// What waits for so long waits for ever, written `none`.
const NO_LIMIT: Duration = Duration::MAX;

/// A value made from text by a function that says what is wrong with it.
pub(super) fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let value = text.map(|text| {
        parse(&text).map_err(|problem| D::Error::custom(format_args!("'{text}': {problem}")))
    });
    value.transpose()
}

/// The same, where there has to be one.
pub(super) fn required<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    parsed(deserializer, parse)?.ok_or_else(|| D::Error::custom("expected a text"))
}

/// Namespace and name.
pub(super) fn object<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ObjectName>, D::Error> {
    parsed(deserializer, |text| match text.split_once('/') {
        Some((namespace, name)) if is_name(namespace) && is_name(name) => {
            Ok(ObjectName::new(namespace, name))
        }
        _ => Err("expected a namespace and a name, like shop/web".to_owned()),
    })
}

/// A name within a namespace.
pub(super) fn name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Arc<str>>, D::Error> {
    parsed(deserializer, |text| match is_name(text) {
        true => Ok(text.into()),
        false => Err("expected the name of an object, without its namespace".to_owned()),
    })
}

/// A host of a rule.
pub(super) fn host<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HostPattern>, D::Error> {
    parsed(deserializer, |text| {
        match fairway_cluster::host_pattern(text) {
            Ok(HostPattern::Any) => Err("leave it out to select every host".to_owned()),
            other => other.map_err(str::to_owned),
        }
    })
}

/// The beginning of paths, or the whole one where it is a regular expression.
pub(super) fn path<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Arc<str>>, D::Error> {
    parsed(deserializer, |text| match text.starts_with('/') {
        true => Ok(text.into()),
        false => Err("does not start with /".to_owned()),
    })
}

/// A limit that there has to be.
pub(super) fn limit<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    parsed(deserializer, positive)
}

/// A limit, or `none`.
pub(super) fn limit_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    parsed(deserializer, |text| match text {
        "none" => Ok(NO_LIMIT),
        text => positive(text),
    })
}

fn positive(text: &str) -> Result<Duration, String> {
    let duration: GoDuration = text.parse().map_err(str::to_owned)?;
    match duration.is_zero() {
        true => Err("must be greater than 0".to_owned()),
        false => Ok(duration.into()),
    }
}
