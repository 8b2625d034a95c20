use http::HeaderValue;

/// Length of version 00.
const LENGTH: usize = 55;

const SAMPLED: u8 = 1;

/// What `traceparent` says (W3C Trace Context, section 3.2). Neither ID is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    /// Whether the trace is recorded.
    pub(crate) sampled: bool,
}

impl Context {
    /// None for what the specification wants to be ignored.
    pub(super) fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.as_bytes();
        let fields = text.get(..LENGTH)?;
        // Later versions may add fields, and may not change these.
        let complete = match &fields[..2] {
            b"ff" => false,
            b"00" => text.len() == LENGTH,
            _ => text.len() == LENGTH || text[LENGTH] == b'-',
        };
        if !complete || [2, 35, 52].iter().any(|at| fields[*at] != b'-') {
            return None;
        }
        let [_version] = digits(&fields[..2])?;
        let trace_id = digits(&fields[3..35])?;
        let span_id = digits(&fields[36..52])?;
        let [flags] = digits(&fields[53..])?;
        let is_valid = trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then_some(Self {
            trace_id,
            span_id,
            sampled: flags & SAMPLED != 0,
        })
    }

    /// As a header of version 00.
    pub(super) fn text(&self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write(&self.trace_id, &mut text[3..35]);
        write(&self.span_id, &mut text[36..52]);
        if self.sampled {
            text[54] = b'1';
        }
        text
    }

    /// The trace's ID as hexadecimal digits.
    pub(crate) fn trace_digits(&self) -> [u8; 32] {
        let mut text = [0; 32];
        write(&self.trace_id, &mut text);
        text
    }

    /// The span's ID as hexadecimal digits.
    pub(crate) fn span_digits(&self) -> [u8; 16] {
        let mut text = [0; 16];
        write(&self.span_id, &mut text);
        text
    }
}

/// Bytes from their hexadecimal digits, which are lower-case.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn write(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}
