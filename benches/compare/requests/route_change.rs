//! One of 10,000 hosts is led elsewhere: how long until it is served, and what others notice.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::requests::load::open_loop::{self, Latencies};
use crate::requests::peers::Running;
use crate::requests::stage::{Stage, host};

/// The host that is moved.
pub(crate) const MOVED: usize = 5_000;

/// Requests a second that others send meanwhile: far from what any peer can do.
const RATE: f64 = 2_000.0;

/// What a peer took.
pub(crate) struct Change {
    /// From when its operator told it until the first answer of the other origin; one a change.
    pub(crate) until_served: Vec<Duration>,
    /// Of others, while nothing changes.
    pub(crate) calm: Latencies,
    /// Of others, while changes happen.
    pub(crate) meanwhile: Latencies,
}

pub(crate) fn measure(stage: &Stage, running: &Running, changes: usize) -> Result<Change> {
    // A change a second.
    let duration = Duration::from_secs(changes as u64 + 1);
    let calm = open_loop::run(stage, running, RATE, duration)?;
    std::thread::scope(|scope| {
        let others = scope.spawn(|| open_loop::run(stage, running, RATE, duration));
        let mut until_served = Vec::with_capacity(changes);
        for number in 0..changes {
            let next = Instant::now() + Duration::from_secs(1);
            let moved = (number % 2 == 0).then_some(MOVED);
            until_served.push(change(stage, running, moved)?);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        running.move_host(stage, None)?;
        let meanwhile = others.join();
        let Ok(meanwhile) = meanwhile else {
            bail!("the load panicked");
        };
        Ok(Change {
            until_served,
            calm,
            meanwhile: meanwhile?,
        })
    })
}

fn change(stage: &Stage, running: &Running, moved: Option<usize>) -> Result<Duration> {
    let wanted = if moved.is_some() { b'b' } else { b'a' };
    let started = Instant::now();
    running.move_host(stage, moved)?;
    let address = running.listen.http;
    stage.namespace.run(|| {
        while ask(address).ok() != Some(wanted) {
            let waited = started.elapsed();
            ensure!(
                waited < Duration::from_secs(30),
                "the change is never served"
            );
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(started.elapsed())
    })
}

/// Which origin answers, on a new connection: workers of before a reload go on with those that they have.
fn ask(address: SocketAddr) -> Result<u8> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "GET /which HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        host(MOVED)
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "refused");
    // The body may be chunked; its letter stands behind the head.
    let text = String::from_utf8_lossy(&answer);
    let (_, body) = text.split_once("\r\n\r\n").context("no head")?;
    let letter = body.bytes().find(|byte| matches!(byte, b'a' | b'b'));
    letter.context("no letter")
}
