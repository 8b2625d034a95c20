use std::borrow::Cow;

/// A request path in its one interpretation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// What routes are matched against.
    pub matched: Cow<'a, str>,
    /// What the upstream is asked for (without the query).
    pub forwarded: Cow<'a, str>,
}

/// The path has more than one reading or none: answer 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPath;

impl<'a> Path<'a> {
    /// Interprets the path of a request target (without the query).
    pub fn parse(raw: &'a str) -> Result<Self, InvalidPath> {
        Ok(Self {
            matched: Cow::Borrowed(raw),
            forwarded: Cow::Borrowed(raw),
        })
    }
}
