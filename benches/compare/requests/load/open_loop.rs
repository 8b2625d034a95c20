//! Requests at a fixed rate over kept connections, whether or not the peer keeps up. As cheap as may be,
//! because it shares its core with the origin: one thread, and two system calls a request.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::requests::peers::Running;
use crate::requests::stage::{Stage, host};

/// Enough for a peer that answers each within some milliseconds.
const CONNECTIONS: usize = 64;

/// After the last request was due, answers are waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long each answer took from when its request was due, in microseconds.
pub(crate) struct Latencies {
    pub(crate) latency: Histogram<u64>,
    /// Without a good answer.
    pub(crate) failed: u64,
}

struct Connection {
    stream: TcpStream,
    /// When the request that it carries was due.
    due: Option<Instant>,
    /// What has come of the answer.
    answer: Vec<u8>,
}

struct Loop {
    address: SocketAddr,
    request: Vec<u8>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    waiting: VecDeque<Instant>,
    outcome: Latencies,
}

/// Asks for the small answer `rate` times a second.
pub(crate) fn run(
    stage: &Stage,
    running: &Running,
    rate: f64,
    duration: Duration,
) -> Result<Latencies> {
    let address = running.listen.http;
    stage.namespace.run(|| {
        let mut requests = Loop::open(address)?;
        let total = (rate * duration.as_secs_f64()) as u64;
        requests.drive(rate, total)?;
        Ok(requests.outcome)
    })
}

impl Loop {
    fn open(address: SocketAddr) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        // A microsecond to a minute, with an error below 1 %.
        let latency = Histogram::new_with_bounds(1, 60_000_000, 2);
        let mut requests = Self {
            address,
            request: format!("GET /64 HTTP/1.1\r\nHost: {}\r\n\r\n", host(0)).into_bytes(),
            epoll,
            connections: Vec::new(),
            idle: (0..CONNECTIONS).collect(),
            waiting: VecDeque::new(),
            outcome: Latencies {
                latency: latency.context("bounds of a histogram")?,
                failed: 0,
            },
        };
        for number in 0..CONNECTIONS {
            let connection = requests.connect(number)?;
            requests.connections.push(connection);
        }
        Ok(requests)
    }

    fn connect(&self, number: usize) -> Result<Connection> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let data = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &stream, data, EventFlags::IN)?;
        Ok(Connection {
            stream,
            due: None,
            answer: Vec::with_capacity(1024),
        })
    }

    fn drive(&mut self, rate: f64, total: u64) -> Result<()> {
        let start = Instant::now();
        let due = |number: u64| start + Duration::from_secs_f64(number as f64 / rate);
        let end = due(total) + PATIENCE;
        let mut next = 0;
        let mut events = Vec::with_capacity(CONNECTIONS);
        loop {
            let now = Instant::now();
            while next < total && due(next) <= now {
                self.waiting.push_back(due(next));
                next += 1;
            }
            self.send()?;
            let all_idle = self.idle.len() == CONNECTIONS && self.waiting.is_empty();
            if (next == total && all_idle) || now > end {
                self.outcome.failed += (CONNECTIONS - self.idle.len() + self.waiting.len()) as u64;
                return Ok(());
            }
            let until = if next < total { due(next) } else { end };
            let pause = until.saturating_duration_since(Instant::now());
            let pause = Timespec::try_from(pause).context("a short time")?;
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&pause),
            ) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                self.read(event.data.u64() as usize)?;
            }
        }
    }

    fn send(&mut self) -> Result<()> {
        while !self.idle.is_empty()
            && let Some(due) = self.waiting.pop_front()
            && let Some(number) = self.idle.pop()
        {
            let connection = &mut self.connections[number];
            connection.due = Some(due);
            connection.answer.clear();
            if connection.stream.write_all(&self.request).is_err() {
                self.fail(number)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> Result<()> {
        let connection = &mut self.connections[number];
        let mut room = [0; 2048];
        let read = match connection.stream.read(&mut room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Ok(length) if length > 0 => length,
            _ => return self.fail(number),
        };
        connection.answer.extend_from_slice(&room[..read]);
        if !is_whole(&connection.answer) {
            return Ok(());
        }
        let Some(due) = connection.due.take() else {
            return self.fail(number);
        };
        if connection.answer.starts_with(b"HTTP/1.1 200") {
            let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.outcome.latency.saturating_record(micros.max(1));
        } else {
            self.outcome.failed += 1;
        }
        self.idle.push(number);
        Ok(())
    }

    /// The request failed, if there was one, and the connection is replaced.
    fn fail(&mut self, number: usize) -> Result<()> {
        let was_busy = self.connections[number].due.is_some();
        self.outcome.failed += u64::from(was_busy);
        self.connections[number] = self.connect(number)?;
        if was_busy {
            self.idle.push(number);
        }
        Ok(())
    }
}

/// Whether head and body are there; the length stands in the head.
fn is_whole(answer: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = head.parse(answer) else {
        return false;
    };
    let body = head.headers.iter().find_map(|header| {
        let is_length = header.name.eq_ignore_ascii_case("content-length");
        is_length.then(|| {
            std::str::from_utf8(header.value)
                .ok()?
                .parse::<usize>()
                .ok()
        })?
    });
    body.is_some_and(|body| answer.len() >= length + body)
}
