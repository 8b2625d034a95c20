//! What all peers share: a network namespace, the origin behind them, a certificate, and a directory for
//! their files.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fairway_testkit::certificates::{Authority, Issued};
use fairway_testkit::lab::Namespace;
use tempfile::TempDir;

/// An address that no peer takes for one of its own.
pub(crate) const ORIGIN: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 2);
/// Answers `a` at `/which`, and everything else.
pub(crate) const ORIGIN_A: u16 = 9000;
/// The same, but for `b` at `/which`.
pub(crate) const ORIGIN_B: u16 = 9001;
/// Switches to another protocol and echoes.
pub(crate) const ECHO: u16 = 9002;

/// All of them by name.
pub(crate) const ORIGINS: [(&str, u16); 3] = [("a", ORIGIN_A), ("b", ORIGIN_B), ("echo", ECHO)];

/// The core that the peers run on, and the one for everything else.
pub(crate) const PROXY_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

/// Bytes of the small answer.
pub(crate) const SMALL: usize = 64;
pub(crate) const MEDIUM: usize = 16 << 10;
pub(crate) const LARGE: usize = 1 << 20;

/// Everything that is there before the first peer starts.
pub(crate) struct Stage {
    pub(crate) namespace: Namespace,
    /// How many a peer may expect.
    pub(crate) clients: usize,
    directory: TempDir,
    pub(crate) issued: Issued,
    pub(crate) root: Authority,
    origin: Child,
}

/// The host of that number.
pub(crate) fn host(number: usize) -> String {
    format!("h{number}.example.com")
}

impl Stage {
    pub(crate) fn new(clients: usize) -> Result<Self> {
        let namespace = Namespace::new("compare")?;
        let address = format!("{ORIGIN}/32");
        ip(&namespace, &["address", "add", &address, "dev", "lo"])?;
        let directory = tempfile::tempdir()?;
        let root = Authority::new("compare")?;
        let issued = root.server(&["*.example.com"])?;
        fs::write(directory.path().join("chain.pem"), &issued.chain)?;
        fs::write(directory.path().join("key.pem"), &issued.key)?;
        let both = format!("{}{}", issued.chain, issued.key);
        fs::write(directory.path().join("both.pem"), both)?;
        let origin = origin(&namespace, directory.path(), clients)?;
        let stage = Self {
            namespace,
            clients,
            directory,
            issued,
            root,
            origin,
        };
        stage.wait_for((ORIGIN, ORIGIN_A).into())?;
        crate::requests::load::websocket::echo(&stage.namespace, (ORIGIN, ECHO).into())?;
        Ok(stage)
    }

    /// The path of a file of ours.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of ours, and returns its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(name);
        // Whoever watches it never sees half of it.
        let new = self.path(&format!(".{name}.new"));
        fs::write(&new, text)?;
        fs::rename(new, &path)?;
        Ok(path)
    }

    /// Starts a program on the proxies' core. What it prints goes nowhere, as the access logs of all do;
    /// what it complains of to a file.
    pub(crate) fn start(&self, program: &str, arguments: &[&str]) -> Result<Child> {
        let mut command = Command::new("taskset");
        command.args(["-c", &PROXY_CORE.to_string(), program]);
        let name = Path::new(program).file_name().unwrap_or_default();
        let complaints = self.path(&format!("{}.stderr", name.display()));
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(complaints)?);
        self.namespace
            .spawn(command)
            .with_context(|| format!("cannot start {program}"))
    }

    /// The last thing that a program complained of.
    pub(crate) fn complaints(&self, program: &str) -> String {
        let file = self.path(&format!("{program}.stderr"));
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().last().unwrap_or("it says nothing").to_owned()
    }

    /// Waits until somebody listens.
    pub(crate) fn wait_for(&self, address: SocketAddr) -> Result<()> {
        self.namespace.run(|| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while std::net::TcpStream::connect(address).is_err() {
                ensure!(Instant::now() < deadline, "nobody listens on {address}");
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        crate::requests::process::end(&mut self.origin);
    }
}

/// Cheap and the same for all: nginx, on the other core.
fn origin(namespace: &Namespace, directory: &Path, clients: usize) -> Result<Child> {
    let files = directory.join("files");
    fs::create_dir(&files)?;
    fs::write(files.join("16k"), vec![b'x'; MEDIUM])?;
    fs::write(files.join("1m"), vec![b'x'; LARGE])?;
    let small = "x".repeat(SMALL);
    let root = files.display();
    let server = |port, name| {
        format!(
            "server {{ listen {ORIGIN}:{port} backlog=4096; root {root};
               location = /64 {{ return 200 '{small}'; }}
               location = /which {{ return 200 '{name}'; }}
               location = /upload {{ return 200 'ok'; }} }}"
        )
    };
    let [a, b] = [server(ORIGIN_A, "a"), server(ORIGIN_B, "b")];
    let config = format!(
        "worker_processes 1; daemon off; error_log stderr; pid {0}/origin.pid;
         events {{ worker_connections {clients}; }}
         http {{ access_log off; sendfile on; tcp_nopush on; open_file_cache max=16;
           keepalive_requests 1000000000; keepalive_timeout 600; client_max_body_size 0;
           client_body_temp_path {0}/origin-body; {a} {b} }}",
        directory.display(),
    );
    let file = directory.join("origin.conf");
    fs::write(&file, config)?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = namespace.spawn(command);
    child.context("cannot start nginx: install Debian's nginx")
}

fn ip(namespace: &Namespace, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(arguments);
    let output = namespace.output(command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "ip {}: {said}",
        arguments.join(" ")
    );
    Ok(())
}
