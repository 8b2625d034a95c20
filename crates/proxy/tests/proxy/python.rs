//! Endpoints and clients that are not ours: scripts beside the tests, with Debian's libraries.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::upstream::wait_for;

/// A script that serves when told `serve FILE`, and writes its port into the file.
pub(crate) struct PythonServer {
    pub(crate) address: SocketAddr,
    process: Child,
}

impl PythonServer {
    /// Starts a script of this folder.
    pub(crate) fn start(script: &str) -> Self {
        let port_file = tempfile::NamedTempFile::new().unwrap();
        let process = python(script)
            .arg("serve")
            .arg(port_file.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self {
            address: ([127, 0, 0, 1], 0).into(),
            process,
        };
        wait_for("the script to listen", || {
            let port = std::fs::read_to_string(port_file.path()).unwrap();
            if let Some(port) = port.strip_suffix('\n') {
                server.address.set_port(port.parse().unwrap());
            }
            server.address.port() != 0
        });
        server
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a script prints that talks as a client; it has to succeed.
pub(crate) fn talk(script: &str, arguments: &[&str]) -> String {
    let output = python(script).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout).unwrap()
}

fn python(script: &str) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(format!(
        "{}/tests/proxy/{script}",
        env!("CARGO_MANIFEST_DIR")
    ));
    command
}
