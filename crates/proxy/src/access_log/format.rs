//! What a line looks like.

use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use http::header::{HOST, REFERER, USER_AGENT};

use super::variable::{Variable, parse_name};

/// ingress-nginx' default, its `upstreaminfo`.
const UPSTREAM_INFO: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
    $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $request_length $request_time \
    [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr \
    $upstream_response_length $upstream_response_time $upstream_status $req_id";

/// nginx's own default.
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
    $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// Where `$remote_user` comes from.
pub(super) const AUTHORIZATION: HeaderName = http::header::AUTHORIZATION;

/// How the lines of the access log are written: one JSON object each, or as nginx writes them.
///
/// Parsed from `json`, `nginx` (the default of ingress-nginx), `combined` (the default of nginx), or a text
/// with nginx's variables: `$remote_addr "$request" $status`. Such a text may begin with `escape=json `, as
/// in nginx, where its variables stand inside of JSON strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    /// As configured.
    text: Box<str>,
    pub(super) style: Style,
    pub(super) wanted: Wanted,
}

/// How a line is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Json,
    Text(Vec<Part>, Escape),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Box<str>),
    Variable(Variable),
}

/// What becomes of bytes that could be taken for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// nginx's: `"`, `\` and everything outside of printable ASCII is `\xXX`. What is not there is `-`.
    Default,
    /// As inside of a JSON string. What is not there is empty.
    Json,
}

/// What lines tell of requests and responses: nothing else is kept for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) request_headers: Vec<HeaderName>,
    pub(crate) response_headers: Vec<HeaderName>,
    /// The lengths of heads, which somebody has to add up.
    pub(crate) lengths: bool,
}

/// Where the headers of JSON lines are.
pub(super) const JSON_HOST: usize = 0;
pub(super) const JSON_USER_AGENT: usize = 1;
pub(super) const JSON_REFERER: usize = 2;

/// A format cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Variables that mean nothing here.
    #[error("there is no variable {}; docs/observability.md lists those that there are", names(.0))]
    UnknownVariables(Vec<String>),
    /// A `$` with no name behind it, or a `${` that is not closed.
    #[error("a `$` at character {0} is not the start of a variable")]
    Dollar(usize),
    /// Every line would say the same.
    #[error(
        "it names no variable; write `json`, `nginx`, `combined`, or a text with variables of nginx"
    )]
    NoVariable,
}

fn names(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("${name}")).collect();
    names.join(", ")
}

impl LogFormat {
    /// One JSON object a line.
    pub fn json() -> Self {
        Self {
            text: "json".into(),
            style: Style::Json,
            wanted: Wanted {
                request_headers: vec![HOST, USER_AGENT, REFERER],
                ..Wanted::default()
            },
        }
    }

    fn parse(text: &str, template: &str, escape: Escape) -> Result<Self, FormatError> {
        let mut wanted = Wanted::default();
        let mut parts = Vec::new();
        let mut unknown = Vec::new();
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            let (literal, variable) = rest.split_at(at);
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.into()));
            }
            let position = || template.len() - variable.len();
            let (name, after) =
                parse_name(&variable[1..]).ok_or_else(|| FormatError::Dollar(position()))?;
            match Variable::of_name(name, &mut wanted) {
                Some(variable) => parts.push(Part::Variable(variable)),
                None => unknown.push(name.to_owned()),
            }
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        if !unknown.is_empty() {
            return Err(FormatError::UnknownVariables(unknown));
        }
        if !parts.iter().any(|part| matches!(part, Part::Variable(_))) {
            return Err(FormatError::NoVariable);
        }
        Ok(Self {
            text: text.into(),
            style: Style::Text(parts, escape),
            wanted,
        })
    }
}

impl Default for LogFormat {
    fn default() -> Self {
        Self::json()
    }
}

impl FromStr for LogFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text {
            "json" => Ok(Self::json()),
            "nginx" => Self::parse(text, UPSTREAM_INFO, Escape::Default),
            "combined" => Self::parse(text, COMBINED, Escape::Default),
            _ => match text.strip_prefix("escape=json ") {
                Some(template) => Self::parse(text, template, Escape::Json),
                None => {
                    let template = text.strip_prefix("escape=default ").unwrap_or(text);
                    Self::parse(text, template, Escape::Default)
                }
            },
        }
    }
}

/// As configured.
impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Wanted {
    /// The place of a request header among those that are kept.
    pub(super) fn request_header(&mut self, name: HeaderName) -> usize {
        place(&mut self.request_headers, name)
    }

    /// The same of a response header.
    pub(super) fn response_header(&mut self, name: HeaderName) -> usize {
        place(&mut self.response_headers, name)
    }
}

fn place(names: &mut Vec<HeaderName>, name: HeaderName) -> usize {
    if let Some(at) = names.iter().position(|it| *it == name) {
        return at;
    }
    names.push(name);
    names.len() - 1
}
