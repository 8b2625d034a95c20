//! Reads HTTP/1.1 requests by RFC 9112, and refuses whatever another reader could read otherwise.
//!
//! Shares nothing with the parser that the router uses, on purpose.

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// Names in lower case, values without space around them.
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) framing: Framing,
    /// As far as it has come.
    pub(super) body: Vec<u8>,
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, or an empty one.
    None,
    Length(u64),
    Chunked,
}

/// What the bytes begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A request, and how many bytes it takes.
    Whole(Request, usize),
    /// A request whose body goes on.
    Body(Request),
    /// Not even a head.
    Incomplete,
    Refused(&'static str),
}

/// What is tolerated: RFC 9112 allows it where nobody can be misled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// A client may end lines of the head with LF alone, and send empty lines before a request. What it
    /// says in trailers is not looked at: the router writes them anew, or drops them.
    Client,
    /// The router may not.
    Router,
}

/// Reads one request.
pub(super) fn read(bytes: &[u8], from: From) -> Read {
    let mut lines = Lines { bytes, at: 0, from };
    match lines.request() {
        Ok(read) => read,
        Err(End::Incomplete) => Read::Incomplete,
        Err(End::Refused(why)) => Read::Refused(why),
    }
}

enum End {
    Incomplete,
    Refused(&'static str),
}

struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    from: From,
}

impl<'a> Lines<'a> {
    fn request(&mut self) -> Result<Read, End> {
        let mut line = self.line()?;
        while self.from == From::Client && line.is_empty() {
            line = self.line()?;
        }
        let line = std::str::from_utf8(line).map_err(|_| End::Refused("request line"))?;
        let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(End::Refused("request line"));
        };
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(End::Refused("method"));
        }
        if target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(End::Refused("target"));
        }
        let old = match version {
            "HTTP/1.0" => true,
            "HTTP/1.1" => false,
            _ => return Err(End::Refused("version")),
        };
        let headers = self.fields()?;
        let framing = framing(&headers, old)?;
        let hosts = headers.iter().filter(|(name, _)| name == "host").count();
        if hosts > 1 || (hosts == 0 && !old) {
            return Err(End::Refused("Host"));
        }
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            framing,
            body: Vec::new(),
        };
        let body = match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.counted(length, &mut request.body),
            Framing::Chunked => self.chunked(&mut request.body),
        };
        match body {
            Ok(()) => Ok(Read::Whole(request, self.at)),
            // What was read before may have been passed on.
            Err(End::Incomplete | End::Refused(_)) => Ok(Read::Body(request)),
        }
    }

    /// Lines up to an empty one.
    fn fields(&mut self) -> Result<Vec<(String, Vec<u8>)>, End> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.ok_or(End::Refused("no colon"))?);
            if name.is_empty() || !name.iter().copied().all(is_token) {
                return Err(End::Refused("field name"));
            }
            let value = value[1..].trim_ascii();
            let allowed = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..);
            if !value.iter().all(allowed) {
                return Err(End::Refused("field value"));
            }
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            fields.push((name, value.to_vec()));
        }
    }

    /// The next line of a head, without its end.
    fn line(&mut self) -> Result<&'a [u8], End> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(End::Incomplete);
        };
        self.at += end + 1;
        let line = &rest[..end];
        match line.strip_suffix(b"\r") {
            Some(line) if !line.contains(&b'\r') => Ok(line),
            None if self.from == From::Client && !line.contains(&b'\r') => Ok(line),
            _ => Err(End::Refused("line end")),
        }
    }

    fn counted(&mut self, length: u64, body: &mut Vec<u8>) -> Result<(), End> {
        let rest = &self.bytes[self.at..];
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let there = length.min(rest.len());
        body.extend(&rest[..there]);
        self.at += there;
        (there == length).then_some(()).ok_or(End::Incomplete)
    }

    fn chunked(&mut self, body: &mut Vec<u8>) -> Result<(), End> {
        // Here a line feed alone ends nothing.
        let head = std::mem::replace(&mut self.from, From::Router);
        loop {
            let line = self.line()?;
            let size = line
                .split(|byte| matches!(byte, b';' | b' ' | b'\t'))
                .next();
            let size = std::str::from_utf8(size.unwrap_or_default()).ok();
            // No sign, which the library takes; as many zeros before it as there are.
            let digits = size.filter(|size| size.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let size = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            let size = size.ok_or(End::Refused("chunk size"))?;
            if size == 0 {
                break;
            }
            self.counted(size, body)?;
            if !self.line()?.is_empty() {
                return Err(End::Refused("chunk end"));
            }
        }
        self.from = head;
        match head {
            From::Client => self.trailers(),
            From::Router => self.fields().map(drop),
        }
    }

    /// Lines up to an empty one, whatever they say.
    fn trailers(&mut self) -> Result<(), End> {
        loop {
            let rest = &self.bytes[self.at..];
            let end = rest.iter().position(|byte| *byte == b'\r');
            let end = end.ok_or(End::Incomplete)?;
            match rest.get(end + 1) {
                None => return Err(End::Incomplete),
                Some(b'\n') => self.at += end + 2,
                Some(_) => return Err(End::Refused("line end")),
            }
            if end == 0 {
                return Ok(());
            }
        }
    }
}

fn framing(headers: &[(String, Vec<u8>)], old: bool) -> Result<Framing, End> {
    let all = |wanted: &str| -> Vec<&[u8]> {
        let found = headers.iter().filter(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_slice()).collect()
    };
    let (lengths, encodings) = (all("content-length"), all("transfer-encoding"));
    match (&lengths[..], &encodings[..]) {
        ([], []) => Ok(Framing::None),
        ([length], []) => {
            let digits = std::str::from_utf8(length).ok();
            let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse().ok());
            match length.ok_or(End::Refused("Content-Length"))? {
                0 => Ok(Framing::None),
                length => Ok(Framing::Length(length)),
            }
        }
        ([], [encoding]) if !old && encoding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked)
        }
        _ => Err(End::Refused("framing")),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(head: &str) -> Option<Framing> {
        let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n");
        match read(bytes.as_bytes(), From::Client) {
            Read::Whole(request, _) | Read::Body(request) => Some(request.framing),
            Read::Incomplete | Read::Refused(_) => None,
        }
    }

    #[test]
    fn framing_is_read_in_one_way_or_not_at_all() {
        for (head, expected) in [
            ("X: y", Some(Framing::None)),
            ("Content-Length: 5", Some(Framing::Length(5))),
            ("Transfer-Encoding: Chunked", Some(Framing::Chunked)),
            ("Content-Length: 5\r\nContent-Length: 5", None),
            ("Content-Length: +5", None),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", None),
            ("Transfer-Encoding: gzip, chunked", None),
            ("Transfer-Encoding : chunked", None),
            ("X: y\r\n z", None),
            ("Host: b", None),
        ] {
            assert_eq!(framing(head), expected, "{head}");
        }
    }

    #[test]
    fn bodies_end_where_they_should() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (body, whole) in [
            ("5\r\nhello\r\n0\r\n\r\n", true),
            ("5;x\r\nhello\r\n0\r\nX: y\r\n\r\n", true),
            ("5\r\nhello\r\n0\r\n\nX: y\r\n\r\n", true),
            ("5\r\nhelloX0\r\n\r\n", false),
            ("00000000000000005\r\nhello\r\n00\r\n\r\n", true),
            ("0x5\r\nhello\r\n0\r\n\r\n", false),
            ("+5\r\nhello\r\n0\r\n\r\n", false),
            ("5\nhello\r\n0\r\n\r\n", false),
            ("5\r\nhello\r\n0\r\n", false),
        ] {
            let bytes = format!("{head}{body}GET");
            let read = read(bytes.as_bytes(), From::Client);
            match read {
                Read::Whole(request, taken) => {
                    assert!(whole, "{body:?}");
                    assert_eq!(request.body, b"hello");
                    assert_eq!(&bytes[taken..], "GET");
                }
                read => assert!(
                    !whole && matches!(read, Read::Body(_)),
                    "{body:?}: {read:?}"
                ),
            }
        }
    }

    #[test]
    fn the_router_gets_no_tolerance() {
        let lenient = b"\nGET / HTTP/1.1\nHost: a\n\n";
        assert!(matches!(read(lenient, From::Client), Read::Whole(_, 25)));
        assert!(matches!(read(lenient, From::Router), Read::Refused(_)));
    }
}
