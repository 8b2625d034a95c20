//! Whether kube-proxy runs on this node: by its process, and in a pod, which sees its own processes alone, by its port.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

/// Where kube-proxy tells its configuration unless it is told otherwise. A fairway has the port as well, once it is free.
const METRICS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 10249);

/// How long it may take, on the same machine.
const PATIENCE: Duration = Duration::from_secs(1);

/// More than either configuration has.
const LONGEST: u64 = 64 << 10;

/// What shows that it runs.
pub(super) fn sign() -> anyhow::Result<Option<String>> {
    if let Some(process) = process()? {
        return Ok(Some(format!("process {process}")));
    }
    // Nobody there, or somebody who tells no configuration: then it is not kube-proxy.
    let told = configuration(METRICS.into()).unwrap_or_default();
    Ok(is_of_kube_proxy(&told).then(|| format!("it answers at port {}", METRICS.1)))
}

/// A kube-proxy of this network namespace.
fn process() -> anyhow::Result<Option<u32>> {
    let ours = fs::read_link("/proc/self/ns/net").context("cannot tell this network namespace")?;
    let processes = fs::read_dir("/proc").context("cannot list processes")?;
    for process in processes.flatten() {
        let Some(id) = process.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        let of = |file: &str| process.path().join(file);
        let name = fs::read_to_string(of("comm")).unwrap_or_default();
        if name.trim_end() == "kube-proxy" && fs::read_link(of("ns/net")).is_ok_and(|it| it == ours)
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn configuration(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /configz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut told = Vec::new();
    stream.take(LONGEST).read_to_end(&mut told)?;
    Ok(String::from_utf8_lossy(&told).into_owned())
}

/// fairway tells its own fields beside those of kube-proxy.
fn is_of_kube_proxy(configuration: &str) -> bool {
    configuration.contains("\"kubeproxy.config.k8s.io\"")
        && !configuration.contains("\"fairway.dev\"")
}
