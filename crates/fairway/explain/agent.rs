//! Asking the agent that runs on this node.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use fairway_explain::{Explanation, Question};

use crate::agent::admin_address;

/// More than the agent takes to give up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Explanations have a line for each endpoint.
const LONGEST: u64 = 64 << 20;

/// What the agent says.
pub(super) fn ask(question: &Question) -> anyhow::Result<Explanation> {
    let stream = UnixStream::connect_addr(&admin_address()?);
    let mut stream = stream.context(
        "no agent answers on this node: start one, run this in its network namespace, or explain \
         objects without one (--manifests DIR, --kubeconfig FILE)",
    )?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let query = question.to_query();
    write!(
        stream,
        "GET /explain?{query} HTTP/1.0\r\nHost: fairway\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream
        .take(LONGEST)
        .read_to_end(&mut answer)
        .context("the agent does not answer")?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else {
        bail!("the agent breaks off: only root and the agent's own user may ask");
    };
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(
        status == "200",
        "the agent answers: {}",
        String::from_utf8_lossy(body).trim()
    );
    serde_json::from_slice(body).context("the agent is of another version")
}
