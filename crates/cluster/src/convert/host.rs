//! Hosts of Ingress rules, held to what the API allows: lower-case DNS names, one leading wildcard label.

use std::net::IpAddr;

use fairway_model::{HostPattern, WildcardSpan};

use crate::index::Interner;

/// Longest DNS name and label, RFC 1035 section 2.3.4.
const NAME: usize = 253;
const LABEL: usize = 63;

/// The pattern, or why the text is no host of a rule. An empty text is every host.
pub(crate) fn host(text: &str, names: &mut Interner) -> Result<HostPattern, &'static str> {
    if text.is_empty() {
        return Ok(HostPattern::Any);
    }
    check(text)?;
    Ok(match text.strip_prefix("*.") {
        Some(suffix) => HostPattern::Wildcard {
            suffix: names.get(suffix),
            span: WildcardSpan::OneLabel,
        },
        None => HostPattern::Exact(names.get(text)),
    })
}

/// The pattern for a host as a rule of an Ingress spells it: a lower-case DNS name, a wildcard for its
/// first label, or nothing for every host.
///
/// # Errors
///
/// What is wrong with it, as the rest of a sentence about it.
pub fn host_pattern(text: &str) -> Result<HostPattern, &'static str> {
    host(text, &mut Interner::default())
}

/// Whether one host of `spec.tls` covers a host of a rule: the same, or a wildcard for its first label.
pub(crate) fn covers(listed: &str, host: &HostPattern) -> bool {
    let listed = listed.to_ascii_lowercase();
    match (listed.strip_prefix("*."), host) {
        (Some(suffix), HostPattern::Wildcard { suffix: other, .. }) => *suffix == **other,
        (Some(suffix), HostPattern::Exact(host)) => {
            host.split_once('.').is_some_and(|(_, rest)| rest == suffix)
        }
        (None, HostPattern::Exact(host)) => listed == **host,
        _ => false,
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > NAME {
        return Err("is longer than a DNS name can be (253 characters)");
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    if name.contains('*') {
        return Err("has a * that is not its whole first label");
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("has upper-case letters (matching ignores case; write it lower-case)");
    }
    if name.parse::<IpAddr>().is_ok() {
        return Err("is an IP address, not a DNS name");
    }
    if name.contains(':') {
        return Err("has a port or a colon; rules are for a host on every port");
    }
    for label in name.split('.') {
        if label.len() > LABEL {
            return Err("has a label longer than 63 characters");
        }
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends =
            label.bytes().next().is_some_and(inner) && label.bytes().last().is_some_and(inner);
        if !ends || !label.bytes().all(|byte| inner(byte) || byte == b'-') {
            return Err("is not a DNS name (letters, digits and inner hyphens between dots)");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_api_accepts() {
        let mut names = Interner::default();
        let long = format!(
            "{}.{}.{}.{}",
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(61)
        );
        assert_eq!(long.len(), 253);
        for (text, expected) in [
            ("", "*"),
            ("foo.bar.com", "foo.bar.com"),
            ("*.foo.com", "*.foo.com"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1.example", "1.example"),
            (&long, &long),
        ] {
            assert_eq!(
                host(text, &mut names).map(|host| host.to_string()),
                Ok(expected.to_owned())
            );
        }
    }

    #[test]
    fn refuses_what_the_api_refuses() {
        let long = format!("{}.{}", "a.".repeat(126), "bc");
        let label = format!("{}.com", "a".repeat(64));
        for text in [
            "Foo.com",
            "*",
            "*.",
            "*foo.com",
            "foo.*.com",
            "*.*.com",
            "a*.com",
            "10.0.0.1",
            "::1",
            "foo.com:80",
            "foo.com.",
            ".foo.com",
            "foo..com",
            "-foo.com",
            "foo-.com",
            "foo_bar.com",
            "bücher.example",
            "foo com",
            "*.10.0.0.1",
            &long,
            &label,
        ] {
            let result = host(text, &mut Interner::default());
            assert!(result.is_err(), "{text:?} gave {result:?}");
        }
    }

    #[test]
    fn a_certificate_covers_the_host_or_one_label_of_it() {
        let mut names = Interner::default();
        for (listed, rule, expected) in [
            ("foo.com", "foo.com", true),
            ("FOO.com", "foo.com", true),
            ("foo.com", "bar.com", false),
            ("*.foo.com", "bar.foo.com", true),
            ("*.foo.com", "a.bar.foo.com", false),
            ("*.foo.com", "foo.com", false),
            ("*.foo.com", "*.foo.com", true),
            ("bar.foo.com", "*.foo.com", false),
            ("foo.com", "", false),
        ] {
            let rule = host(rule, &mut names).unwrap();
            assert_eq!(covers(listed, &rule), expected, "{listed} {rule}");
        }
    }
}
