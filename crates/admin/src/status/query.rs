//! What a request for the JSON asks for.

/// How many items there are without a wish, and at most.
const LIMIT: usize = 50;
const MOST: usize = 500;

/// Longest text that is searched for, in bytes.
const LONGEST_FILTER: usize = 256;

/// One of the lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    /// None of them.
    #[default]
    Overview,
    Services,
    Routes,
    Certificates,
    Problems,
}

/// Which part of what is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) view: View,
    /// What an item has to contain, lower-case.
    pub(super) filter: String,
    /// Items to leave out before the first.
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            view: View::default(),
            filter: String::new(),
            offset: 0,
            limit: LIMIT,
        }
    }
}

impl Query {
    /// None for what means nothing.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let mut parsed = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            match name {
                "view" => parsed.view = View::parse(value)?,
                "filter" => parsed.filter = decode(value)?.to_lowercase(),
                "offset" => parsed.offset = value.parse().ok()?,
                "limit" => parsed.limit = value.parse::<usize>().ok()?.min(MOST),
                _ => return None,
            }
        }
        (parsed.filter.len() <= LONGEST_FILTER).then_some(parsed)
    }

    /// Whether one of these texts contains what is searched for.
    pub(super) fn finds<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        self.filter.is_empty() || texts.into_iter().any(|text| contains(text, &self.filter))
    }
}

impl View {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "overview" => Self::Overview,
            "services" => Self::Services,
            "routes" => Self::Routes,
            "certificates" => Self::Certificates,
            "problems" => Self::Problems,
            _ => return None,
        })
    }
}

/// Names of objects are ASCII and lower-case nearly always: nothing is allocated for those.
fn contains(text: &str, lower: &str) -> bool {
    match text
        .bytes()
        .any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
    {
        true => text.to_lowercase().contains(lower),
        false => text.contains(lower),
    }
}

/// Percent and plus, as forms write them. None for what is no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_page_asks_for_and_nothing_else() {
        let query = Query::parse("view=routes&filter=Sh%6Fp+%C3%84&offset=100&limit=900").unwrap();
        let expected = Query {
            view: View::Routes,
            filter: "shop ä".to_owned(),
            offset: 100,
            limit: MOST,
        };
        assert_eq!(query, expected);
        assert_eq!(Query::parse("").unwrap(), Query::default());
        let long = format!("filter={}", "a".repeat(LONGEST_FILTER + 1));
        for wrong in [
            "view=secrets",
            "offset=-1",
            "a=b",
            "view",
            "filter=%f",
            "filter=%ff",
            &long,
        ] {
            assert_eq!(Query::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn finds_parts_of_words_in_any_case() {
        let query = Query::parse("filter=Web").unwrap();
        assert!(query.finds(["default", "my-web-2"]));
        assert!(query.finds(["WEB.example"]));
        assert!(!query.finds(["default", "api"]));
    }
}
