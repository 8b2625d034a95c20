use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, SystemTime};

/// Writes a flat JSON object on one line. Texts may be any bytes: what is not UTF-8 becomes U+FFFD, and
/// control characters (C1 as well, which terminals obey) are escaped.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    pub(super) fn optional(&mut self, name: &str, value: Option<&[u8]>, longest: usize) {
        if let Some(value) = value {
            self.text(name, value, longest);
        }
    }

    /// At most `longest` bytes of `value`.
    pub(super) fn text(&mut self, name: &str, value: &[u8], longest: usize) {
        self.name(name);
        self.out.push(b'"');
        escape(&value[..value.len().min(longest)], self.out);
        self.out.push(b'"');
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        print(self.out, value);
    }

    pub(super) fn seconds(&mut self, name: &str, value: Duration) {
        self.name(name);
        print(
            self.out,
            format_args!("{}.{:06}", value.as_secs(), value.subsec_micros()),
        );
    }

    /// For values that need no escaping.
    pub(super) fn display(&mut self, name: &str, value: impl Display) {
        self.name(name);
        print(self.out, format_args!("\"{value}\""));
    }

    pub(super) fn time(&mut self, name: &str, value: SystemTime) {
        let time = jiff::Timestamp::try_from(value).unwrap_or_default();
        self.display(name, format_args!("{time:.3}"));
    }

    fn name(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

fn print(out: &mut Vec<u8>, value: impl Display) {
    write!(out, "{value}").expect("writing to memory cannot fail");
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let plain = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\');
    if bytes.iter().all(plain) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
                    print(out, format_args!("\\u{:04x}", u32::from(character)));
                }
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}
