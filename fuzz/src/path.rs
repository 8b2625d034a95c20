//! The path of a request target.

use fairway_router::Path;

/// What paths are made of.
pub const PIECES: &[&[u8]] = &[
    b"/",
    b"//",
    b".",
    b"..",
    b"/./",
    b"/../",
    b"%2e",
    b"%2E%2e",
    b"%2F",
    b"%2f",
    b"%5c",
    b"%61",
    b"%00",
    b"%",
    b"%zz",
    b"%25",
    b"%7e",
    b"%80",
    b";",
    b"?",
    b"#",
    b"\\",
    b" ",
    b"\0",
    b"\xc3\xa9",
    b"a",
    b"admin",
    b"*",
    b"http://",
];

/// What the router reads is what a plain reading of the rules says, and stays itself when read again.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return; // hyper gives text only
    };
    let parsed = Path::parse(text).ok();
    let found = parsed
        .as_ref()
        .map(|path| (path.matched.to_string(), path.forwarded.to_string()));
    assert_eq!(found, plainly(text), "{text:?}");
    let Some(path) = parsed else {
        return;
    };
    assert_eq!(Path::parse(&path.forwarded), Ok(path.clone()), "{text:?}");
    // Nobody behind us finds another element in it: neither by decoding nor by resolving.
    let mut elements = path.matched.split('/').skip(1);
    assert!(
        elements.all(|element| !matches!(element, "." | "..")),
        "{path:?}"
    );
    assert!(!path.matched.contains("//"), "{path:?}");
}

/// The rules again, element by element: what is matched, and what is forwarded.
pub(crate) fn plainly(text: &str) -> Option<(String, String)> {
    let text = if text.is_empty() { "/" } else { text };
    let mut elements = Vec::new();
    for element in text.strip_prefix('/')?.split('/') {
        elements.push(unescaped(element)?);
    }
    let last = elements.len() - 1;
    let doubled = elements[..last].iter().any(String::is_empty);
    let is_dots = |element: &String| element == "." || element == "..";
    if doubled && elements.iter().any(is_dots) {
        return None;
    }
    let mut stack: Vec<String> = Vec::new();
    for (index, element) in elements.into_iter().enumerate() {
        let dots = is_dots(&element);
        match element.as_str() {
            ".." => drop(stack.pop()?),
            "." => {}
            _ => stack.push(element),
        }
        if dots && index == last {
            stack.push(String::new());
        }
    }
    let forwarded = format!("/{}", stack.join("/"));
    let ends = forwarded.ends_with('/');
    let full: Vec<_> = stack.into_iter().filter(|it| !it.is_empty()).collect();
    let mut matched = format!("/{}", full.join("/"));
    if ends && !matched.ends_with('/') {
        matched.push('/');
    }
    Some((matched, forwarded))
}

/// An element with what needs no escape unescaped, and every other escape in upper case.
fn unescaped(element: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = element.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '%' => {
                let high = rest.next()?.to_digit(16)?;
                let low = rest.next()?.to_digit(16)?;
                match char::from_u32(high * 16 + low)? {
                    '\0' => return None,
                    it if it.is_ascii_alphanumeric() || "-._~".contains(it) => plain.push(it),
                    it => plain += &format!("%{:02X}", u32::from(it)),
                }
            }
            '!'..='~' if !matches!(letter, '\\' | '#' | '?') => plain.push(letter),
            _ => return None,
        }
    }
    Some(plain)
}
