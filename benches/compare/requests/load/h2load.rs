//! TLS, with HTTP/2 or HTTP/1.1, over kept connections: nghttp2's h2load.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Outcome;
use crate::requests::peers::Running;
use crate::requests::stage::{Stage, host};

/// By what name the peer's ALPN knows the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

pub(crate) fn run(
    stage: &Stage,
    running: &Running,
    protocol: Protocol,
    seconds: f64,
) -> Result<Outcome> {
    let (clients, streams) = match protocol {
        Protocol::Http1 => ("32", "1"),
        // Many connections: fairway asks clients to begin a new one after 10,000 requests, which h2load does not.
        Protocol::Http2 => ("32", "4"),
    };
    let mut command = Command::new("h2load");
    let port = running.listen.https.port();
    command
        .args(["-t", "1", "-c", clients, "-m", streams])
        .args(["-D", &seconds.ceil().to_string()])
        .args(["--connect-to", &running.listen.https.to_string()]);
    if protocol == Protocol::Http1 {
        command.arg("--h1");
    }
    command.arg(format!("https://{}:{port}/64", host(0)));
    let output = stage
        .namespace
        .output(command)
        .context("cannot run h2load")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |start: &str| {
        said.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_default()
    };
    let (requests, statuses) = (line("requests:"), line("status codes:"));
    let answered = super::number_before(statuses, " 2xx");
    let failed = super::number_before(requests, " failed");
    let numbers = answered.zip(failed);
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(numbers.is_some(), "h2load says: {said}{complaints}");
    let (answered, failed) = numbers.unwrap_or_default();
    let others =
        [" 3xx", " 4xx", " 5xx"].map(|word| super::number_before(statuses, word).unwrap_or(0));
    Ok(Outcome {
        answered,
        failed: failed + others.iter().sum::<u64>(),
        elapsed: Duration::from_secs_f64(seconds.ceil()),
    })
}
