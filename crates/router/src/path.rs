use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// A request path in its one interpretation.
///
/// A router that matches one reading of a path and forwards another lets requests past the routes that
/// were meant to catch them. So every path is brought to one form first:
///
/// | as sent | what happens |
/// | --- | --- |
/// | a broken escape, `%00`, a raw control, space, `\`, `#`, `?` or non-ASCII character | refused |
/// | an escape of a letter, digit, `-`, `.`, `_` or `~` | decoded |
/// | any other escape, `%2F` and `%5C` among them | stays, in upper case; never separates elements |
/// | `.` and `..` elements, also those spelled with `%2E` | resolved; above the root: refused |
/// | `//` | matched as `/`, forwarded as sent |
/// | `//` together with a dot element | has two readings: refused |
/// | everything else, `;` too | ordinary text |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// What routes are matched against.
    pub matched: Cow<'a, str>,
    /// What the upstream is asked for (without the query).
    pub forwarded: Cow<'a, str>,
}

/// The path has more than one reading or none: answer 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path has more than one reading or none")]
pub struct InvalidPath;

impl<'a> Path<'a> {
    /// Interprets the path of a request target (without the query). An empty one counts as `/`.
    ///
    /// Allocates only where the path is not in its final form already.
    pub fn parse(raw: &'a str) -> Result<Self, InvalidPath> {
        let raw = if raw.is_empty() { "/" } else { raw };
        if !raw.starts_with('/') {
            return Err(InvalidPath);
        }
        let path = unescape(raw)?;
        let is_doubled = path.contains("//");
        let is_dotted = path.split('/').any(|element| matches!(element, "." | ".."));
        match (is_doubled, is_dotted) {
            (true, true) => Err(InvalidPath),
            (true, false) => Ok(Self {
                matched: Cow::Owned(merge_slashes(&path)),
                forwarded: path,
            }),
            (false, true) => Ok(Self::both(Cow::Owned(resolve_dots(&path)?))),
            (false, false) => Ok(Self::both(path)),
        }
    }

    fn both(path: Cow<'a, str>) -> Self {
        Self {
            matched: path.clone(),
            forwarded: path,
        }
    }
}

/// Decodes what needs no escape and upper-cases the escapes that remain (RFC 3986 section 6.2.2).
fn unescape(raw: &str) -> Result<Cow<'_, str>, InvalidPath> {
    if !raw.bytes().all(is_allowed) {
        return Err(InvalidPath);
    }
    let Some((plain, escaped)) = raw.split_once('%') else {
        return Ok(Cow::Borrowed(raw));
    };
    let mut path = String::with_capacity(raw.len());
    path.push_str(plain);
    for part in escaped.split('%') {
        let (digits, text) = part.split_at_checked(2).ok_or(InvalidPath)?;
        match decode(digits)? {
            0 => return Err(InvalidPath),
            byte if is_unreserved(byte) => path.push(char::from(byte)),
            byte => push_escape(&mut path, byte),
        }
        path.push_str(text);
    }
    Ok(Cow::Owned(path))
}

fn decode(digits: &str) -> Result<u8, InvalidPath> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(InvalidPath); // `from_str_radix` takes a sign too
    }
    u8::from_str_radix(digits, 16).map_err(|_| InvalidPath)
}

fn push_escape(path: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    path.push('%');
    for digit in [byte >> 4, byte & 0xF] {
        path.push(char::from(DIGITS[usize::from(digit)]));
    }
}

/// Whether the byte may stand in a request path as it is.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'?')
}

/// RFC 3986 section 2.3: equivalent whether escaped or not.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn merge_slashes(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

/// RFC 3986 section 5.2.4, except that climbing above the root is an error. A dot element at the end
/// leaves the slash before it.
fn resolve_dots(path: &str) -> Result<String, InvalidPath> {
    let mut resolved = String::with_capacity(path.len());
    let mut elements = path.split('/').skip(1).peekable();
    while let Some(element) = elements.next() {
        match element {
            "." => {}
            ".." => resolved.truncate(resolved.rfind('/').ok_or(InvalidPath)?),
            element => {
                resolved.push('/');
                resolved.push_str(element);
                continue;
            }
        }
        if elements.peek().is_none() {
            resolved.push('/');
        }
    }
    Ok(resolved)
}

/// Brings the path of a rule to the form that request paths have, so that `/café` and `/%63af%c3%a9`
/// are the same rule. What a request can only send escaped is escaped here.
pub(crate) fn interpret_rule_path(path: &str) -> Result<String, InvalidPath> {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        if is_allowed(byte) {
            escaped.push(char::from(byte));
        } else {
            push_escape(&mut escaped, byte);
        }
    }
    Path::parse(&escaped).map(|path| path.matched.into_owned())
}
