use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Nothing here takes long; a test that waits longer than this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A client that sends what it is told and reads responses by their framing.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: VecDeque<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice in {self:?}");
        value
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    /// Connects from another address of this machine.
    pub(crate) fn connect_from(own: IpAddr, address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            None,
        );
        let socket = socket.unwrap();
        socket.bind(&SocketAddr::new(own, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::of(socket.into())
    }

    /// Whether a GET is answered 200 before the other side closes.
    pub(crate) fn is_served(&mut self, host: &str, path: &str) -> bool {
        self.try_send(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ));
        self.rest().starts_with(b"HTTP/1.1 200 ")
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: VecDeque::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends as much as the other side takes; false when it has closed.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    pub(crate) fn stop_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// A GET on this connection.
    pub(crate) fn get(&mut self, host: &str, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        self.response()
    }

    pub(crate) fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads one response; `HEAD` has no body whatever it says.
    pub(crate) fn response_to(&mut self, method: &str) -> Response {
        let (status, headers) = self.head();
        let mut response = Response {
            status,
            headers,
            body: String::new(),
        };
        let length = response
            .header("content-length")
            .map(|text| text.parse().unwrap());
        let body = match (status, response.header("transfer-encoding"), length) {
            (101 | 204 | 304, _, _) => Vec::new(),
            _ if method == "HEAD" => Vec::new(),
            (_, Some("chunked"), _) => self.chunked(),
            (_, _, Some(length)) => self.take(length),
            _ => self.rest(),
        };
        response.body = String::from_utf8_lossy(&body).into_owned();
        response
    }

    pub(crate) fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let line = self.line();
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("not a status line: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return (status, headers);
            }
            let (name, value) = line.split_once(": ").unwrap();
            headers.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let line = self.line();
        let size =
            usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("not a size: {line:?}"));
        let chunk = self.take(size);
        assert_eq!(self.line(), "");
        chunk
    }

    fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                return body;
            }
            body.extend(chunk);
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(
                self.fill(),
                "closed after {} of {count} bytes",
                self.buffer.len()
            );
        }
        self.buffer.drain(..count).collect()
    }

    /// What is there next, thrown away: how much it was, 0 when the other side has closed.
    pub(crate) fn take_some(&mut self) -> usize {
        self.fill();
        self.buffer.drain(..).count()
    }

    /// Everything until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        self.buffer.drain(..).collect()
    }

    /// Waits until the other side has closed, and checks that nothing else came.
    pub(crate) fn expect_close(&mut self) {
        let rest = self.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            assert!(self.fill(), "closed within a line: {:?}", self.buffer);
        }
    }

    fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend(&bytes[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("waited in vain: {error}; have {:?}", self.buffer),
        }
    }
}

/// One request on a connection of its own.
pub(crate) fn get(address: SocketAddr, host: &str, path: &str) -> Response {
    Client::connect(address).get(host, path)
}

/// Sends a whole request on a connection of its own.
pub(crate) fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Response {
    let mut client = Client::connect(address);
    client.send(request);
    client.response()
}
