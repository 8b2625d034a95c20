//! `requestHeaders` and `responseHeaders`.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::Filter;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::Authority;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Headers that say where a message ends, or belong to one connection: ours to set.
const FRAMING: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct HeadersDocument {
    set: BTreeMap<Name, Value>,
    add: BTreeMap<Name, Value>,
    remove: Vec<Name>,
}

/// The name of a header that may be changed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name(Arc<str>);

/// The value of a header.
#[derive(Debug)]
struct Value(Arc<str>);

impl HeadersDocument {
    pub(super) fn of_requests(self) -> Vec<Filter> {
        self.filters(
            Filter::SetRequestHeader,
            Filter::AddRequestHeader,
            Filter::RemoveRequestHeader,
        )
    }

    pub(super) fn of_responses(self) -> Vec<Filter> {
        self.filters(
            Filter::SetResponseHeader,
            Filter::AddResponseHeader,
            Filter::RemoveResponseHeader,
        )
    }

    /// Removed first, so that what is added stays.
    fn filters(
        self,
        set: fn(Arc<str>, Arc<str>) -> Filter,
        add: fn(Arc<str>, Arc<str>) -> Filter,
        remove: fn(Arc<str>) -> Filter,
    ) -> Vec<Filter> {
        let removed = self.remove.into_iter().map(|Name(name)| remove(name));
        let with = |(Name(name), Value(value))| (name, value);
        let set = self
            .set
            .into_iter()
            .map(with)
            .map(|(name, value)| set(name, value));
        let added = self
            .add
            .into_iter()
            .map(with)
            .map(|(name, value)| add(name, value));
        removed.chain(set).chain(added).collect()
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |problem: &str| D::Error::custom(format_args!("'{text}': {problem}"));
        let name: HeaderName = text
            .parse()
            .map_err(|_| wrong("no header has such a name"))?;
        if FRAMING.contains(&name) {
            return Err(wrong("belongs to a connection and is not for policies"));
        }
        Ok(Self(name.as_str().into()))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match HeaderValue::from_str(&text) {
            Ok(_) => Ok(Self(text.into())),
            Err(_) => Err(D::Error::custom(
                "no header can have this value: it has a line break or another control character, or is not ASCII",
            )),
        }
    }
}

/// A request has one Host, and one that is one.
pub(super) fn check_host(filters: &[Filter]) -> Result<(), &'static str> {
    let host = |name: &str| name == "host";
    for filter in filters {
        match filter {
            Filter::SetRequestHeader(name, value) if host(name) => {
                let authority = value.parse::<Authority>();
                if !authority.is_ok_and(|it| !it.as_str().contains('@')) {
                    return Err("the Host is no host");
                }
            }
            Filter::AddRequestHeader(name, _) | Filter::RemoveRequestHeader(name) if host(name) => {
                return Err("a request has exactly one Host: it can be set only");
            }
            _ => {}
        }
    }
    Ok(())
}
