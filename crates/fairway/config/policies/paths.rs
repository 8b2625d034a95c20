//! `rewrite` and `redirect`: other paths, and other places.

use std::sync::Arc;

use fairway_model::{PathMatch, PathRewrite, Port, Redirect};
use fairway_router::Rewrite;
use http::uri::Authority;
use serde::{Deserialize, Deserializer};

use super::{Wrong, text};

/// What a redirect says where the policy does not: for now.
const FOUND: u16 = 302;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RewriteDocument {
    /// In place of the elements that the route's prefix matched.
    prefix: Option<String>,
    /// In place of the whole path.
    path: Option<String>,
    /// Where this matches from the start of the path...
    pattern: Option<String>,
    /// ...in place of the whole path.
    replacement: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RedirectDocument {
    #[serde(default, deserialize_with = "scheme")]
    scheme: Option<Arc<str>>,
    #[serde(default, deserialize_with = "host")]
    host: Option<Arc<str>>,
    port: Option<Port>,
    prefix: Option<String>,
    path: Option<String>,
    pattern: Option<String>,
    replacement: Option<String>,
    status: Option<u16>,
}

impl RewriteDocument {
    /// `field` is where it stands.
    pub(super) fn rewrite(self, field: &str) -> Result<PathRewrite, Wrong> {
        let wrong = |problem: String| (field.to_owned(), problem);
        let rewrite = match (self.prefix, self.path, self.pattern, self.replacement) {
            (Some(prefix), None, None, None) => PathRewrite::Prefix(prefix.into()),
            (None, Some(path), None, None) => PathRewrite::Full(path.into()),
            (None, None, Some(pattern), Some(replacement)) => PathRewrite::Regex {
                pattern: pattern.into(),
                replacement: replacement.into(),
            },
            _ => {
                let problem = "give it a prefix, or a path, or a pattern and its replacement";
                return Err(wrong(problem.to_owned()));
            }
        };
        match Rewrite::compile(&rewrite, &PathMatch::Prefix("/".into())) {
            Ok(_) => Ok(rewrite),
            Err(error) => Err(wrong(error.to_string())),
        }
    }
}

impl RedirectDocument {
    pub(super) fn redirect(self) -> Result<Redirect, Wrong> {
        let wrong = |field: &str, problem: &str| Err((field.to_owned(), problem.to_owned()));
        let status = self.status.unwrap_or(FOUND);
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            return wrong("redirect.status", "expected 301, 302, 303, 307 or 308");
        }
        let path = RewriteDocument {
            prefix: self.prefix,
            path: self.path,
            pattern: self.pattern,
            replacement: self.replacement,
        };
        let has_path = [&path.prefix, &path.path, &path.pattern, &path.replacement]
            .iter()
            .any(|field| field.is_some());
        let redirect = Redirect {
            scheme: self.scheme,
            host: self.host,
            port: self.port,
            path: has_path.then(|| path.rewrite("redirect")).transpose()?,
            status,
        };
        let stays = Redirect {
            status,
            scheme: None,
            host: None,
            port: None,
            path: None,
        };
        if redirect == stays {
            return wrong("redirect", "leads to where it comes from");
        }
        Ok(redirect)
    }
}

fn scheme<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    text::parsed(deserializer, |text| match text {
        "http" | "https" => Ok(text.into()),
        _ => Err("expected http or https".to_owned()),
    })
}

fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    text::parsed(deserializer, |text| {
        let authority = text.parse::<Authority>();
        match authority.is_ok_and(|it| it.host() == text) {
            true => Ok(text.into()),
            false => Err("is no host; a port has a field of its own".to_owned()),
        }
    })
}
