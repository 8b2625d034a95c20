//! HTTP/1.1 over kept connections, as fast as it goes: wrk.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Outcome;
use crate::requests::peers::Running;
use crate::requests::stage::{Stage, host};

/// What is asked for, again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests {
    pub(crate) path: &'static str,
    /// Bytes that are sent along, with POST.
    pub(crate) upload: usize,
    pub(crate) connections: usize,
}

/// Each request asks for the next host.
pub(crate) fn run(
    stage: &Stage,
    running: &Running,
    requests: Requests,
    seconds: f64,
) -> Result<Outcome> {
    let Requests {
        path,
        upload,
        connections,
    } = requests;
    let method = if upload > 0 { "POST" } else { "GET" };
    let script = format!(
        "local requests, at = {{}}, 0
         init = function()
           local body = nil
           if {upload} > 0 then body = string.rep('x', {upload}) end
           for number = 0, {hosts} - 1 do
             local headers = {{ ['Host'] = 'h' .. number .. '.example.com' }}
             requests[number] = wrk.format('{method}', '{path}', headers, body)
           end
         end
         request = function() at = (at + 1) % {hosts}; return requests[at] end
         done = function(summary)
           local errors = summary.errors
           local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
           print(summary.requests .. ' requests ' .. failed .. ' errors ' .. summary.duration .. ' us')
         end",
        hosts = running.hosts
    );
    check(stage, running, requests)?;
    let script = stage.write("wrk.lua", script)?;
    let mut command = Command::new("wrk");
    let whole = seconds.ceil().max(1.0);
    command
        .args(["-t1", "-c", &connections.to_string()])
        .args(["-d", &format!("{whole}s"), "--timeout", "10s", "-s"])
        .arg(script)
        .arg(format!("http://{}{path}", running.listen.http));
    let output = stage.namespace.output(command).context("cannot run wrk")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = said.lines().last().unwrap_or_default();
    let number = |word| super::number_before(last, word);
    let answer = number(" requests")
        .zip(number(" errors"))
        .zip(number(" us"));
    ensure!(answer.is_some(), "wrk says: {said}");
    let ((answered, failed), elapsed) = answer.unwrap_or_default();
    Ok(Outcome {
        answered: answered.saturating_sub(failed),
        failed,
        elapsed: Duration::from_micros(elapsed),
    })
}

/// wrk takes a redirect for an answer.
fn check(stage: &Stage, running: &Running, requests: Requests) -> Result<()> {
    let Requests { path, upload, .. } = requests;
    if upload > 0 {
        return Ok(());
    }
    let address = running.listen.http;
    let answer = fairway_testkit::ask::http_get(&stage.namespace, address, &host(0), path);
    let answer = answer.map_err(|error| anyhow::anyhow!("{path}: {error}"))?;
    ensure!(
        answer.status == 200,
        "{path} is answered with {}",
        answer.status
    );
    Ok(())
}
