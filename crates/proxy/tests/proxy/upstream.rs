use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::client::PATIENCE;

/// An endpoint that runs a closure for each connection, in a thread of its own.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    connections: AtomicUsize,
    heads: Mutex<VecDeque<Head>>,
    changed: Condvar,
}

/// A request head as it was on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} twice in {self:?}");
        all.first().copied()
    }
}

/// A connection seen from the endpoint.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    shared: Arc<Shared>,
}

impl Upstream {
    pub(crate) fn start(serve: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), serve)
    }

    pub(crate) fn start_at(
        address: SocketAddr,
        serve: impl Fn(Connection) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serve = Arc::new(serve);
        let state = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if state.stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_nodelay(true).unwrap();
                state.connections.fetch_add(1, Ordering::SeqCst);
                let connection = Connection {
                    reader: BufReader::new(stream),
                    shared: state.clone(),
                };
                let serve = serve.clone();
                std::thread::spawn(move || serve(connection));
            }
        });
        Self { address, shared }
    }

    /// Answers every request with 200, its name, and the body it was sent.
    pub(crate) fn echo(name: &'static str) -> Self {
        Self::start(move |mut connection| {
            while let Some(head) = connection.head() {
                let body = connection.body(&head);
                let text = format!("{name}:{}", String::from_utf8_lossy(&body));
                connection.answer(200, "Content-Type: text/plain\r\n", &text);
            }
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The next request head that arrived.
    pub(crate) fn next_head(&self) -> Head {
        let heads = self.shared.heads.lock().unwrap();
        let (mut heads, _) = (self.shared.changed)
            .wait_timeout_while(heads, PATIENCE, |heads| heads.is_empty())
            .unwrap();
        heads.pop_front().expect("a request reaches the upstream")
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.heads.lock().unwrap().len()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Connection {
    /// The next request head; None when the proxy has closed.
    pub(crate) fn head(&mut self) -> Option<Head> {
        let line = self.line()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").unwrap();
            headers.push((name.to_owned(), value.to_owned()));
        }
        let head = Head { line, headers };
        self.shared.heads.lock().unwrap().push_back(head.clone());
        self.shared.changed.notify_all();
        Some(head)
    }

    pub(crate) fn body(&mut self, head: &Head) -> Vec<u8> {
        if let Some(length) = head.header("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            self.reader.read_exact(&mut body).unwrap();
            return body;
        }
        let mut body = Vec::new();
        if head.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk();
                if chunk.is_empty() {
                    break;
                }
                body.extend(chunk);
            }
        }
        body
    }

    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let size = self.line().unwrap();
        let mut chunk = vec![0; usize::from_str_radix(&size, 16).unwrap()];
        self.reader.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line().unwrap(), "");
        chunk
    }

    pub(crate) fn read_exact(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    pub(crate) fn answer(&mut self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        self.send(format!(
            "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ));
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.reader.get_mut().write_all(bytes.as_ref());
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.reader.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Waits until the proxy has closed.
    pub(crate) fn expect_close(&mut self) {
        let mut rest = Vec::new();
        if let Err(error) = self.reader.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(count) if count > 0 => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
            _ => None,
        }
    }
}

/// An address of loopback where nobody listens.
pub(crate) fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Waits until `reached`, a level and not an event, is true.
pub(crate) fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
