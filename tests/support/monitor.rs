use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use fairway_testkit::lab::Namespace;
use fairway_testkit::nft;

/// `nft monitor`: an independent witness of everything that is written to nf_tables.
pub(crate) struct NftMonitor {
    namespace: Namespace,
    process: Child,
    lines: Receiver<String>,
}

/// Bounds only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(10);

impl NftMonitor {
    /// Starts it; what is written after this returns is heard.
    pub(crate) fn start(namespace: &Namespace) -> Self {
        let mut command = Command::new("nft");
        command.arg("monitor").stdout(Stdio::piped());
        let mut process = namespace.spawn(command).unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = stdout.lines().map_while(Result::ok);
            // Ends with the process, or when nobody listens any more.
            lines.all(|line| sender.send(line).is_ok())
        });
        let monitor = Self {
            namespace: namespace.clone(),
            process,
            lines,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            monitor.mark("listening");
            let heard = monitor.lines.recv_timeout(Duration::from_millis(20));
            if heard.is_ok() {
                break;
            }
            assert!(Instant::now() < deadline, "nft monitor hears nothing");
        }
        monitor.heard("begin");
        monitor
    }

    /// Ends it and returns what was written to our tables meanwhile, a line each.
    pub(crate) fn finish(self) -> Vec<String> {
        let mut lines = self.heard("end");
        lines.retain(|line| line.contains("fairway"));
        lines
    }

    /// Waits until something that contains this is written.
    pub(crate) fn wait_for(&self, text: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            if line.expect("it is written").contains(text) {
                return;
            }
        }
    }

    /// Everything up to now.
    fn heard(&self, mark: &str) -> Vec<String> {
        self.mark(mark);
        let mut lines = Vec::new();
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .expect("the mark is heard");
            if line.contains(&format!("add table ip monitor-{mark}")) {
                return lines;
            }
            lines.push(line);
        }
    }

    /// Writes something that is nobody's business.
    fn mark(&self, mark: &str) {
        let table = format!("table ip monitor-{mark}");
        nft::apply(&self.namespace, &format!("add {table}\ndelete {table}\n")).unwrap();
    }
}

impl Drop for NftMonitor {
    fn drop(&mut self) {
        // Fails only when it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
