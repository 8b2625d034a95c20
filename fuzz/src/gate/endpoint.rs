//! Where requests arrive, and are held against what the client has sent.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::reader::{From, Read, Request, read};
use crate::path;

/// Clients that are remembered: what of them may still arrive is from these.
const REMEMBERED: usize = 10_000;

/// What the router sets, or takes from elsewhere than the header of that name.
const OURS: [&str; 16] = [
    "host",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-scheme",
    "x-request-id",
    "content-length",
    "transfer-encoding",
    "te",
    "connection",
    "upgrade",
    "traceparent",
    "tracestate",
];

pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    judge: Arc<Judge>,
}

#[derive(Default)]
struct Judge {
    clients: Mutex<Clients>,
    complaints: Mutex<Vec<String>>,
    arrived: AtomicU64,
}

#[derive(Default)]
struct Clients {
    expected: BTreeMap<Ipv4Addr, Expected>,
    order: VecDeque<Ipv4Addr>,
}

/// What may still arrive of a client's bytes.
struct Expected {
    input: Vec<u8>,
    requests: VecDeque<Sent>,
}

struct Sent {
    request: Request,
    /// The body came to its end.
    whole: bool,
}

impl Endpoint {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let judge = Arc::new(Judge::default());
        let shared = judge.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let judge = shared.clone();
                std::thread::spawn(move || judge.serve(stream));
            }
        });
        Self { address, judge }
    }

    /// The client of this address sends these bytes.
    pub(super) fn expect(&self, client: Ipv4Addr, input: &[u8]) {
        let mut requests = VecDeque::new();
        let mut rest = input;
        loop {
            let (request, whole, taken) = match read(rest, From::Client) {
                Read::Whole(request, taken) => (request, true, taken),
                Read::Body(request) => (request, false, rest.len()),
                Read::Incomplete | Read::Refused(_) => break,
            };
            requests.push_back(Sent { request, whole });
            rest = &rest[taken..];
        }
        let mut clients = lock(&self.judge.clients);
        let input = input.to_vec();
        clients
            .expected
            .insert(client, Expected { input, requests });
        clients.order.push_back(client);
        if clients.order.len() > REMEMBERED
            && let Some(oldest) = clients.order.pop_front()
        {
            clients.expected.remove(&oldest);
        }
    }

    /// Panics when something arrived that should not.
    pub(super) fn complain(&self) {
        let complaints = lock(&self.judge.complaints);
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    pub(super) fn arrived(&self) -> u64 {
        self.judge.arrived.load(Ordering::Relaxed)
    }
}

impl Judge {
    fn serve(&self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        let end = loop {
            match read(&bytes, From::Router) {
                Read::Whole(request, taken) => {
                    self.arrived.fetch_add(1, Ordering::Relaxed);
                    self.judge(&request, true);
                    bytes.drain(..taken);
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                    continue;
                }
                Read::Refused(why) => {
                    return self.complaint(format!("{why}: {}", bytes.escape_ascii()));
                }
                end @ (Read::Body(_) | Read::Incomplete) => match stream.read(&mut chunk) {
                    Ok(count) if count > 0 => bytes.extend(&chunk[..count]),
                    _ => break end,
                },
            }
        };
        match end {
            Read::Body(request) => self.judge(&request, false),
            _ if bytes.is_empty() => {}
            _ => self.complaint(format!("half a head: {}", bytes.escape_ascii())),
        }
    }

    fn judge(&self, arrived: &Request, whole: bool) {
        let client = match &values(arrived, "x-real-ip")[..] {
            [client] => std::str::from_utf8(client)
                .ok()
                .and_then(|it| it.parse().ok()),
            _ => None,
        };
        let Some(client) = client else {
            return self.complaint(format!("nobody's request: {arrived:?}"));
        };
        let mut clients = lock(&self.clients);
        let Some(expected) = clients.expected.get_mut(&client) else {
            drop(clients);
            return self.complaint(format!("{client} is no client: {arrived:?}"));
        };
        // Those before it may have been answered by the router.
        let mut differences = Vec::new();
        while let Some(sent) = expected.requests.pop_front() {
            match difference(&sent, arrived, whole) {
                None => return,
                Some(difference) => differences.push(difference),
            }
        }
        let input = expected.input.escape_ascii().to_string();
        drop(clients);
        self.complaint(format!(
            "not sent ({}): {arrived:?} of {input}",
            differences.join(", ")
        ));
    }

    fn complaint(&self, text: String) {
        lock(&self.complaints).push(text);
    }
}

/// How a request that arrived is another one than was sent.
fn difference(sent: &Sent, arrived: &Request, whole: bool) -> Option<&'static str> {
    let request = &sent.request;
    if request.method != arrived.method {
        return Some("method");
    }
    if request.framing != arrived.framing {
        return Some("framing");
    }
    let body = match whole {
        true => sent.whole && request.body == arrived.body,
        // It was given up on the way.
        false => request.body.starts_with(&arrived.body),
    };
    if !body {
        return Some("body");
    }
    if forwarded(&request.target) != Some(arrived.target.clone()) {
        return Some("target");
    }
    let host = values(request, "host");
    if !host.is_empty() && host != values(arrived, "host") {
        return Some("Host");
    }
    let foreign = arrived
        .headers
        .iter()
        .any(|header| !OURS.contains(&header.0.as_str()) && !request.headers.contains(header));
    foreign.then_some("headers")
}

/// The target that the router is to ask for.
fn forwarded(target: &str) -> Option<String> {
    let target = match target.split_once("://") {
        Some((scheme, rest)) if !target.starts_with('/') => {
            matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https").then_some(())?;
            rest.find(['/', '?']).map_or("", |at| &rest[at..])
        }
        _ => target,
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (target, String::new()),
    };
    Some(path::plainly(path)?.1 + &query)
}

fn values<'a>(request: &'a Request, name: &str) -> Vec<&'a [u8]> {
    let found = request.headers.iter().filter(|(key, _)| key == name);
    found.map(|(_, value)| value.as_slice()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
