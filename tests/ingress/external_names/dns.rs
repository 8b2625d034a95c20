use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairway_testkit::Agent;
use fairway_testkit::lab::Namespace;
use tempfile::NamedTempFile;

use crate::ingress::site::Site;
use crate::support::fairway;

/// A name server on 127.0.0.1 of a namespace, until the test ends.
pub(super) struct Dns {
    is_silent: Arc<AtomicBool>,
}

impl Dns {
    /// These names have these addresses, and there are no others. Each answer takes so long.
    pub(super) fn serve(
        namespace: &Namespace,
        names: BTreeMap<String, Vec<Ipv4Addr>>,
        delay: Duration,
    ) -> Self {
        let socket = namespace.run(|| UdpSocket::bind("127.0.0.1:53")).unwrap();
        let is_silent = Arc::new(AtomicBool::new(false));
        let silent = is_silent.clone();
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                std::thread::sleep(delay);
                if !silent.load(Ordering::Acquire) {
                    // Whoever is gone does not wait for an answer.
                    let _ = socket.send_to(&answer(&query[..length], &names), client);
                }
            }
        });
        Self { is_silent }
    }

    /// Answers nobody any more.
    pub(super) fn fall_silent(&self) {
        self.is_silent.store(true, Ordering::Release);
    }
}

/// RFC 1035 section 4.1.
fn answer(query: &[u8], names: &BTreeMap<String, Vec<Ipv4Addr>>) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let next = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..next]).into_owned());
        at = next;
    }
    let question = &query[12..at + 5];
    let is_a = query[at + 2] == 1;
    let known = names.get(&labels.join("."));
    let code = if known.is_some() { 0 } else { 3 };
    let addresses: Vec<_> = known.filter(|_| is_a).into_iter().flatten().collect();
    let mut answer = query[..2].to_vec();
    let count = u8::try_from(addresses.len()).unwrap();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(question);
    for address in addresses {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

/// Starts the agent of the first node with 127.0.0.1 as its only name server.
pub(super) fn start_with_dns(site: &Site) -> Agent {
    let resolv_conf = NamedTempFile::new().unwrap();
    fs::write(&resolv_conf, "nameserver 127.0.0.1\noptions timeout:1\n").unwrap();
    let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let mut arguments = ["--mount", "sh", "-c", mount].map(str::to_owned).to_vec();
    arguments.push(resolv_conf.path().to_str().unwrap().to_owned());
    arguments.push(fairway().to_str().unwrap().to_owned());
    arguments.extend(site.run_arguments("node-1"));
    let node = site.lab().node("node-1").ns();
    let agent = Agent::spawn(node, Path::new("unshare"), arguments).unwrap();
    // The file is mounted by then.
    agent
        .wait_for_log("fairway starts", Agent::PATIENCE)
        .unwrap();
    agent
}
