//! The real agent on a node: this program once more, as `fairway run`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use fairway_testkit::lab::{Namespace, Node};
use fairway_testkit::{Agent as TestAgent, Family, Lab, ask};

/// Far longer than a start takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running agent; ends when it is dropped, and with this process.
#[derive(Debug)]
pub(super) struct Agent {
    namespace: Namespace,
    child: Child,
}

impl Agent {
    /// Starts the agent of a node. Its log goes to `NODE.log`, its access log to `NODE.access.log`.
    pub(super) fn start(
        lab: &Lab,
        node: &Node,
        manifests: &Path,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let networks = Family::BOTH.map(|family| lab.cluster_cidr(family).to_string());
        let log = |name: String| {
            let path = logs.join(name);
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))
        };
        // By this name it is found even where the user may not read the path, or it was replaced.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("fairway")
            .arg("run")
            .arg("--manifests")
            .arg(manifests)
            .args(["--hostname-override", node.name()])
            .args(["--cluster-cidr", &networks.join(",")])
            // Both families: the load balancer asks the address that it sends traffic to.
            .args(["--healthz-bind-address", "[::]:10256"])
            .stdin(Stdio::null())
            .stdout(log(format!("{}.access.log", node.name()))?)
            .stderr(log(format!("{}.log", node.name()))?)
            .env("NO_COLOR", "1");
        let child = node.ns().spawn(command);
        Ok(Self {
            namespace: node.ns().clone(),
            child: child.context("cannot start fairway")?,
        })
    }

    /// Waits until it says that it programmed and serves everything.
    pub(super) fn wait_ready(&mut self) -> anyhow::Result<()> {
        let node = self.namespace.name().to_owned();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let health = ask::http_get(&self.namespace, TestAgent::HEALTH, "localhost", "/healthz");
            let obstacle = match health {
                Ok(response) if response.status == 200 => return Ok(()),
                Ok(response) => format!("/healthz answers {}", response.status),
                Err(error) => error.to_string(),
            };
            if let Some(status) = self.child.try_wait()? {
                bail!("fairway on {node} ended: {status}");
            }
            if Instant::now() > deadline {
                bail!("fairway on {node} is not ready: {obstacle}");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Prints the last lines of each agent's log to stderr, for those who will not see the files.
pub(super) fn quote_logs(directory: &Path) {
    const LINES: usize = 20;
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut logs: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.ends_with(".log") && !name.ends_with(".access.log")
    });
    logs.sort();
    for path in logs {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines.split_at(lines.len().saturating_sub(LINES)).1;
        eprintln!("\n{}:", path.display());
        for line in last {
            eprintln!("  {line}");
        }
    }
}
