//! `match`: conditions on a request.

use std::sync::Arc;

use fairway_model::{NameMatch, RequestMatch, RouteConditions, TextMatch};
use http::{HeaderName, Method};
use serde::{Deserialize, Deserializer};

use super::{Wrong, text};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct MatchDocument {
    #[serde(deserialize_with = "method")]
    method: Option<Arc<str>>,
    headers: Vec<NameDocument>,
    query: Vec<NameDocument>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NameDocument {
    name: String,
    /// Exactly this.
    value: Option<String>,
    /// A regular expression over the whole value.
    pattern: Option<String>,
}

impl MatchDocument {
    pub(super) fn conditions(self) -> Result<RouteConditions, Wrong> {
        let names = |field: &str, documents: Vec<NameDocument>| {
            let names = documents.into_iter().enumerate();
            let names = names.map(|(at, document)| {
                let wrong = |(name, problem)| (format!("match.{field}[{at}]{name}"), problem);
                document.name_match(field == "headers").map_err(wrong)
            });
            names.collect::<Result<Vec<_>, _>>()
        };
        Ok(RouteConditions {
            method: self.method,
            headers: names("headers", self.headers)?,
            query: names("query", self.query)?,
        })
    }
}

impl NameDocument {
    fn name_match(self, is_header: bool) -> Result<NameMatch, Wrong> {
        let wrong = |field: &str, problem: String| Err((field.to_owned(), problem));
        let name = match self.name.parse::<HeaderName>() {
            Ok(name) if is_header => name.as_str().into(),
            Err(_) if is_header => {
                return wrong(
                    ".name",
                    format!("'{}': no header has such a name", self.name),
                );
            }
            _ => self.name.into(),
        };
        let value = match (self.value, self.pattern) {
            (Some(value), None) => TextMatch::Exact(value.into()),
            (None, Some(pattern)) => TextMatch::Regex(pattern.into()),
            _ => return wrong("", "give it a value or a pattern".to_owned()),
        };
        let condition = NameMatch { name, value };
        let matches = RequestMatch {
            headers: vec![condition.clone()],
            ..RequestMatch::any()
        };
        match fairway_router::check(&matches) {
            Ok(()) => Ok(condition),
            Err(error) => wrong(".pattern", error.to_string()),
        }
    }
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    text::parsed(deserializer, |text| {
        let is_method = Method::from_bytes(text.as_bytes()).is_ok();
        match is_method && !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            true => Ok(text.into()),
            false => Err("expected a method like GET, in capitals".to_owned()),
        }
    })
}
