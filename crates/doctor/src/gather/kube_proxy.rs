//! kube-proxy by what it answers: in a pod its process is not seen, but its port is.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Where kube-proxy tells its configuration unless it is told otherwise. A fairway has the port as well, once it is free.
const METRICS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 10249);

/// How long it may take, on the same machine.
const PATIENCE: Duration = Duration::from_secs(1);

/// More than either configuration has.
const LONGEST: u64 = 64 << 10;

/// Whether a kube-proxy tells its configuration on this node's loopback.
pub fn kube_proxy_answers() -> bool {
    // Nobody there, or somebody who tells no configuration: then it is not kube-proxy.
    configuration(METRICS.into()).is_ok_and(|told| is_of_kube_proxy(&told))
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

#[test]
fn fairway_tells_more_than_kube_proxy() {
    let kube_proxy = r#"{"kubeproxy.config.k8s.io":{"Mode":"ipvs"}}"#;
    assert!(is_of_kube_proxy(kube_proxy));
    let fairway =
        r#"{"fairway.dev":{"ingress":true},"kubeproxy.config.k8s.io":{"Mode":"nftables"}}"#;
    assert!(!is_of_kube_proxy(fairway));
    assert!(!is_of_kube_proxy("HTTP/1.0 404 Not Found"));
}
