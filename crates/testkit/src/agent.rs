//! Drives the real `fairway` binary on a node.

mod tail;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::ask;
use crate::lab::Namespace;
use tail::Tail;

/// A running `fairway` process. Killed when it is dropped, and when the tests' process ends.
#[derive(Debug)]
pub struct Agent {
    namespace: Namespace,
    id: u32,
    /// Refers to the process even after its number is used again.
    process: rustix::fd::OwnedFd,
    pid: u32,
    exit: Arc<Exit>,
    stdout: Tail,
    stderr: Tail,
}

#[derive(Debug, Default)]
struct Exit {
    status: Mutex<Option<ExitStatus>>,
    known: Condvar,
}

impl Agent {
    /// Where an agent says that it is ready, in its own namespace.
    pub const HEALTH: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10256);

    /// How long it may take to get ready, and to end.
    pub const PATIENCE: Duration = Duration::from_secs(20);

    /// Runs the program with these arguments in a namespace and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it ends instead, or is not ready in time; the message has the end of its log.
    pub fn start<A: AsRef<std::ffi::OsStr>>(
        namespace: &Namespace,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let agent = Self::spawn(namespace, program, arguments)?;
        agent.wait_ready()?;
        Ok(agent)
    }

    /// Runs the program with these arguments in a namespace.
    ///
    /// # Errors
    ///
    /// When it cannot be executed.
    pub fn spawn<A: AsRef<std::ffi::OsStr>>(
        namespace: &Namespace,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::spawn_command(namespace, command)
    }

    /// The same for a program with arguments and environment.
    ///
    /// # Errors
    ///
    /// When it cannot be executed.
    pub fn spawn_command(namespace: &Namespace, mut command: Command) -> Result<Self> {
        let program = command.get_program().display().to_string();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = namespace.spawn(command);
        let mut child = child.with_context(|| format!("cannot run {program}"))?;
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .context("cannot refer to the process")?;
        let stdout = child.stdout.take().context("stdout was asked for")?;
        let stderr = child.stderr.take().context("stderr was asked for")?;
        Ok(Self {
            namespace: namespace.clone(),
            id: child.id(),
            process,
            pid: child.id(),
            exit: Exit::of(child),
            stdout: Tail::of(stdout),
            stderr: Tail::of(stderr),
        })
    }

    /// Waits until `/healthz` on port 10256 answers 200.
    ///
    /// # Errors
    ///
    /// When it does not within 20 s, or when the process ends; the message has the end of its log.
    pub fn wait_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Self::PATIENCE;
        loop {
            let health = ask::http_get(&self.namespace, Self::HEALTH, "localhost", "/healthz");
            let obstacle = match health {
                Ok(response) if response.status == 200 => return Ok(()),
                Ok(response) => format!("/healthz answered {}", response.status),
                Err(error) => format!("{:#}", anyhow::Error::from(error)),
            };
            // Also the pause between two questions.
            if let Some(status) = self.exit.wait(Duration::from_millis(5)) {
                bail!("the agent ended: {status}\n{}", self.stderr());
            }
            if Instant::now() > deadline {
                bail!("the agent is not ready: {obstacle}\n{}", self.stderr());
            }
        }
    }

    /// Kills it with SIGKILL, as an out-of-memory killer does, and waits for its end.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub fn kill(&self) -> Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.wait()
    }

    /// Asks it to end with SIGTERM, as Kubernetes does, and waits until it did.
    ///
    /// # Errors
    ///
    /// When it does not end within 20 s.
    pub fn terminate(&self) -> Result<ExitStatus> {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    ///
    /// When it does not within 20 s; the message has the end of its log.
    pub fn wait(&self) -> Result<ExitStatus> {
        let status = self.exit.wait(Self::PATIENCE);
        status.with_context(|| format!("the agent does not end\n{}", self.stderr()))
    }

    /// The exit status, if it has ended.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.exit.wait(Duration::ZERO)
    }

    /// The end of its log: the last 256 KiB of what it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The end of its access log: the last 256 KiB of what it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Waits until its log contains a text.
    ///
    /// # Errors
    ///
    /// When it does not within the time given; the message has the end of the log.
    pub fn wait_for_log(&self, text: &str, within: Duration) -> Result<()> {
        let found = self.stderr.wait_for(text, within);
        found.map_err(|log| anyhow::anyhow!("the agent did not log {text:?}\n{log}"))
    }

    /// The number of its process, for `/proc`; somebody else's once it has ended.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The number of the process, as long as it runs.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends any other signal; nothing happens when it has ended.
    pub fn signal(&self, signal: Signal) {
        // Fails only when the process has ended.
        let _ = pidfd_send_signal(&self.process, signal);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        // So that its port is free and its files are closed when the test goes on.
        self.exit.wait(Self::PATIENCE);
    }
}

impl Exit {
    /// Waits for a child on a thread of its own.
    fn of(mut child: Child) -> Arc<Self> {
        let exit = Arc::<Self>::default();
        let known = Arc::clone(&exit);
        thread::spawn(move || {
            // Fails only if somebody else has waited for the child.
            if let Ok(status) = child.wait() {
                *known.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                known.known.notify_all();
            }
        });
        exit
    }

    fn wait(&self, within: Duration) -> Option<ExitStatus> {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .known
            .wait_timeout_while(status, within, |status| status.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
