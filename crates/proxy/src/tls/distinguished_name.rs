//! Names of certificates as text: RFC 2253, as OpenSSL and so nginx write it.

use std::fmt::Write;

use x509_parser::asn1_rs::{Any, Tag, ToDer};
use x509_parser::x509::X509Name;

/// The name from its last part to its first, joined by commas (section 2.1): printable ASCII.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let registry = x509_parser::objects::oid_registry();
    let mut parts: Vec<String> = Vec::new();
    for relative in name.iter_rdn() {
        let attributes = relative.iter().map(|attribute| {
            let oid = attribute.attr_type();
            let short = x509_parser::objects::oid2abbrev(oid, registry)
                .map_or_else(|_| oid.to_id_string(), str::to_owned);
            let value = attribute.attr_value();
            let value = match characters(value) {
                Some(characters) => escape(&characters),
                None => hexadecimal(value),
            };
            format!("{short}={value}")
        });
        parts.push(attributes.collect::<Vec<_>>().join("+"));
    }
    parts.reverse();
    parts.join(",")
}

/// What a value says; None where it is no text, or not as its type wants it.
fn characters(value: &Any<'_>) -> Option<String> {
    let bytes = value.as_bytes();
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::NumericString
        | Tag::Ia5String
        | Tag::VisibleString => String::from_utf8(bytes.to_vec()).ok(),
        // Everybody takes T.61 for Latin-1.
        Tag::TeletexString => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, rest) = bytes.as_chunks();
            let units = units.iter().copied().map(u16::from_be_bytes);
            let text = char::decode_utf16(units).collect::<Result<_, _>>().ok();
            text.filter(|_| rest.is_empty())
        }
        Tag::UniversalString => {
            let (units, rest) = bytes.as_chunks();
            let units = units.iter().copied().map(u32::from_be_bytes);
            units
                .map(char::from_u32)
                .collect::<Option<_>>()
                .filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// The encoding itself (section 2.4).
fn hexadecimal(value: &Any<'_>) -> String {
    let mut text = "#".to_owned();
    // To write into memory does not fail.
    for byte in value.to_der_vec().unwrap_or_default() {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// Section 2.4. What is not printable ASCII is written as its bytes in hexadecimal, so that the result is a
/// header value and nothing in a certificate can end it early.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        let at_edge = (at == 0 && matches!(byte, b' ' | b'#')) || (at == last && byte == b' ');
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                escaped.push('\\');
                escaped.push(char::from(byte));
            }
            b' ' | b'#' if at_edge => {
                escaped.push('\\');
                escaped.push(char::from(byte));
            }
            b' '..=b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("\\{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::FromDer;

    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_header() {
        assert_eq!(escape("Example, Inc."), "Example\\, Inc.");
        assert_eq!(escape(" #a "), "\\ #a\\ ");
        assert_eq!(escape("#a"), "\\#a");
        assert_eq!(escape("a\r\nb\u{e4}"), "a\\0D\\0Ab\\C3\\A4");
        assert_eq!(escape(""), "");
    }

    /// The text of a name of one common name, of a value of this tag.
    fn common_name(tag: u8, value: &[u8]) -> String {
        let wrap = |tag: u8, content: &[u8]| {
            [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
        };
        let kind = [0x06, 3, 0x55, 4, 3];
        let attribute = wrap(0x30, &[&kind[..], &wrap(tag, value)].concat());
        let der = wrap(0x30, &wrap(0x31, &attribute));
        text(&X509Name::from_der(&der).unwrap().1)
    }

    /// Every type of string that a certificate authority may use (RFC 5280 section 4.1.2.4), and what else there is.
    #[test]
    fn values_of_every_type_are_written() {
        for (tag, value, expected) in [
            (12, &b"al\xc3\xafce"[..], "CN=al\\C3\\AFce"),
            (12, b"al\xef", "CN=#0C03616CEF"),
            (19, b"alice", "CN=alice"),
            (22, b"a@b", "CN=a@b"),
            (26, b"alice", "CN=alice"),
            (20, b"al\xefce", "CN=al\\C3\\AFce"),
            (30, b"\0a\0l\0\xef", "CN=al\\C3\\AF"),
            (30, b"\xd8\x3d\xde\x00", "CN=\\F0\\9F\\98\\80"),
            (30, b"\0a\0", "CN=#1E03006100"),
            (30, b"\xd8\x3d\0a", "CN=#1E04D83D0061"),
            (28, b"\0\0\0a\0\x01\xf6\0", "CN=a\\F0\\9F\\98\\80"),
            (28, b"\0\x11\0\0", "CN=#1C0400110000"),
            (28, b"\0\0\0a\0", "CN=#1C050000006100"),
            // A bit string, and an empty one of characters.
            (3, b"\0\xab", "CN=#030200AB"),
            (12, b"", "CN="),
        ] {
            assert_eq!(common_name(tag, value), expected, "{tag} {value:x?}");
        }
    }
}
