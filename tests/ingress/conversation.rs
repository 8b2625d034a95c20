use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use fairway_testkit::ask::{self, Answer};
use fairway_testkit::lab::Namespace;

/// A connection that is kept: what is on it, and when, is up to the test.
///
/// Panics when the other side does not speak HTTP/1.1, or falls silent.
pub(crate) struct Conversation {
    stream: BufReader<TcpStream>,
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Conversation {
    pub(crate) fn open(namespace: &Namespace, server: SocketAddr) -> Self {
        let stream = ask::open(namespace, server).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Sends at the same time as this reads.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.get_ref().try_clone().unwrap()
    }

    /// Sends a chunk of a request's body.
    pub(crate) fn send_chunk(&mut self, chunk: &str) {
        self.send(format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }

    pub(crate) fn head(&mut self) -> Head {
        let status_line = self.line();
        let mut words = status_line.split(' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "{status_line:?}");
        let status = words.next().and_then(|status| status.parse().ok());
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
                None if line.is_empty() => break,
                None => panic!("no header: {line:?}"),
            }
        }
        Head {
            status: status.unwrap_or_else(|| panic!("no status: {status_line:?}")),
            headers,
        }
    }

    /// A chunk of a response's body; empty at its end.
    pub(crate) fn chunk(&mut self) -> String {
        let length = self.line();
        let length = usize::from_str_radix(&length, 16).expect("the length of a chunk");
        let chunk = self.exactly(length);
        assert_eq!(self.line(), "");
        String::from_utf8(chunk).unwrap()
    }

    /// So many bytes, whatever they mean.
    pub(crate) fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads what is left until the other side closes.
    pub(crate) fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Waits until the other side closes or resets the connection: whether it did so without a word.
    pub(crate) fn is_cut(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Asks with GET and returns who answered, see [`outcome`](super::site::outcome).
    pub(crate) fn get(&mut self, host: &str, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let head = self.head();
        let length = head.header("content-length").expect("a declared length");
        let body = self.exactly(length.parse().unwrap());
        match serde_json::from_slice::<Answer>(&body) {
            Ok(answer) => answer.pod,
            Err(_) => head.status.to_string(),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let line = line.strip_suffix("\r\n");
        line.expect("a line that ends with CR LF").to_owned()
    }
}

impl Head {
    /// The first header of a name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}
