use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::ask::{self, Failure};
use crate::{eventually, nft};

fn small() -> Lab {
    Lab::builder().nodes(2).pods_per_node(3).build().unwrap()
}

fn lines(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, Echo::LINES)
}

#[test]
fn everybody_reaches_every_pod_and_is_seen_as_itself() {
    test(|| {
        let start = Instant::now();
        let lab = small();
        println!("built in {:?}", start.elapsed());
        for family in Family::BOTH {
            for server in lab.pods() {
                let to = lines(server.ip(family));
                let outside =
                    [lab.client(), lab.balancer()].map(|host| (host.ns(), host.ip(family)));
                let node = |node: &Node| {
                    // Towards its own pods a node is their gateway.
                    let own = node.name() == server.node();
                    let ip = if own {
                        node.pod_gateway(family)
                    } else {
                        node.ip(family)
                    };
                    (node.ns().clone(), ip)
                };
                let clients = lab
                    .pods()
                    .iter()
                    .map(|pod| (pod.ns().clone(), pod.ip(family)))
                    .chain(lab.nodes().iter().map(node))
                    .chain(outside.map(|(ns, ip)| (ns.clone(), ip)))
                    .collect::<Vec<_>>();
                for (client, ip) in clients {
                    for reply in [ask::tcp(&client, to), ask::udp(&client, to)] {
                        let reply = reply.unwrap();
                        assert_eq!(reply.pod, server.name());
                        assert_eq!(reply.peer.ip(), ip, "as seen from {to}");
                        assert_eq!(reply.own, to);
                    }
                }
            }
        }
        println!("with all conversations {:?}", start.elapsed());
    });
}

#[test]
fn service_addresses_lead_nowhere_by_themselves() {
    test(|| {
        let lab = Lab::builder().nodes(1).pods_per_node(1).build().unwrap();
        for family in Family::BOTH {
            let service = SocketAddr::new(lab.cluster_ip(family, 10), 80);
            assert!(lab.service_cidr(family).contains(&service.ip()));
            for client in [lab.pod("pod-1-1").ns(), lab.node("node-1").ns()] {
                // Not waited for longer: an IPv6 error that arrives while the kernel still sends
                // the first packet is not looked at, only the one to its repetition 1 s later.
                let error = ask::tcp_within(client, service, Duration::from_millis(100));
                let failure = error.unwrap_err().failure();
                let answers = [Failure::Unreachable, Failure::TimedOut];
                assert!(answers.contains(&failure), "{failure}");
            }
        }
    });
}

#[test]
fn a_removed_pod_is_gone_and_a_new_one_has_another_address() {
    test(|| {
        let lab = small();
        let old = lab.pod("pod-2-3");
        lab.remove_pod("pod-2-3").unwrap();
        assert!(lab.remove_pod("pod-2-3").is_err());
        for family in Family::BOTH {
            let error = ask::tcp_within(
                lab.client().ns(),
                lines(old.ip(family)),
                Duration::from_millis(100),
            )
            .unwrap_err();
            assert_ne!(error.failure(), Failure::Other, "{error}");
        }
        let new = lab.add_pod("pod-2-3", "node-2").unwrap();
        assert!(lab.add_pod("pod-2-3", "node-2").is_err());
        assert!(lab.add_pod("other", "node-3").is_err());
        for family in Family::BOTH {
            assert_ne!(new.ip(family), old.ip(family));
            let reply = ask::tcp(lab.client().ns(), lines(new.ip(family))).unwrap();
            assert_eq!(reply.pod, "pod-2-3");
        }
    });
}

#[test]
#[ignore = "no test: a program for the next test"]
fn builds_a_lab_and_drops_it() {
    fn threads() -> usize {
        fs::read_dir("/proc/self/task").unwrap().count()
    }
    /// Namespaces live as long as threads or descriptors refer to them; devices live in them.
    fn held() -> (usize, usize, String) {
        let files = fs::read_dir("/proc/self/fd").unwrap().count();
        let threads = threads();
        let devices = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let names = devices.lines().filter_map(|line| line.split_once(':'));
        (files, threads, names.map(|(name, _)| name).collect())
    }
    let alone = threads();
    Namespace::new("warm up").unwrap();
    // A thread that was waited for may still be listed for a moment.
    eventually("alone", || {
        Some(threads()).filter(|now| *now == alone).ok_or(())
    });
    let before = held();
    let lab = small();
    let client = lab.client().ns();
    ask::tcp(client, lines(lab.pod("pod-1-1").ip(Family::V4))).unwrap();
    let mut sleeper = Command::new("sleep");
    sleeper.arg("1000");
    let mut sleeper = client.spawn(sleeper).unwrap();
    assert_ne!(held(), before);
    drop(lab);
    // A killed child, rather than one that ran to its end.
    assert_eq!(sleeper.wait().unwrap().code(), None);
    // Now, too.
    eventually("as before", || {
        let now = held();
        if now == before {
            Ok(())
        } else {
            Err((now, before.clone()))
        }
    });
}

#[test]
fn nothing_is_left_after_a_lab() {
    // Alone in a process, to count what the process holds.
    test(|| {
        let output = Command::new("/proc/self/exe")
            .args(["--exact", "--nocapture", "--ignored"])
            .arg("lab::tests::builds_a_lab_and_drops_it")
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stdout.contains("ok. 1 passed"), "{stdout}{stderr}");
    });
}

#[test]
fn a_child_sees_its_namespace() {
    test(|| {
        let lab = Lab::builder().nodes(1).build().unwrap();
        let mut cat = Command::new("cat");
        cat.arg("/proc/self/net/dev").stdout(Stdio::piped());
        let child = lab.node("node-1").ns().spawn(cat).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().contains("eth0"));
    });
}

#[test]
#[ignore = "no test: a program for the next test"]
fn builds_a_lab_and_waits() {
    let lab = Lab::builder().pods_per_node(1).build().unwrap();
    let mut sleeper = Command::new("sleep");
    sleeper
        .arg("1000")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut sleeper = lab.pod("pod-1-1").ns().spawn(sleeper).unwrap();
    println!("sleeper {}", sleeper.id());
    sleeper.wait().unwrap();
}

#[test]
fn a_crash_takes_everything_along() {
    test(|| {
        let mut crashing = Command::new("/proc/self/exe")
            .args(["--exact", "--nocapture", "--ignored"])
            .arg("lab::tests::builds_a_lab_and_waits")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(crashing.stdout.take().unwrap()).lines();
        let sleeper = lines
            .find_map(|line| Some(line.unwrap().strip_prefix("sleeper ")?.to_owned()))
            .unwrap();
        let running = || {
            let stat = fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
            // Gone, or dead and waiting for its new parent.
            !stat.is_empty() && !stat.contains(") Z ")
        };
        assert!(running());
        crashing.kill().unwrap();
        crashing.wait().unwrap();
        eventually("the child is gone", || {
            if running() { Err("it runs") } else { Ok(()) }
        });
    });
}

/// What fairway will do, written by hand for one Service: shows that its packets pass the hooks.
#[test]
fn packets_for_services_can_be_translated_where_fairway_does() {
    test(|| {
        let lab = small();
        let server = lab.pod("pod-2-1");
        for family in Family::BOTH {
            let service = SocketAddr::new(lab.cluster_ip(family, 10), 80);
            let (ip, to) = (family.nft(), lines(server.ip(family)));
            let dnat = format!(
                "{ip} daddr {} tcp dport 80 dnat to {to}; tcp dport 30080 fib daddr type local dnat to {to};",
                service.ip()
            );
            for node in lab.nodes() {
                let script = format!(
                    "table {ip} by-hand {{
                        chain prerouting {{ type nat hook prerouting priority dstnat; {dnat} }}
                        chain output {{ type nat hook output priority -100; {dnat} }}
                        chain postrouting {{ type nat hook postrouting priority srcnat;
                            ct status dnat {ip} saddr != {} masquerade;
                            {ip} saddr {} {ip} daddr {} masquerade; }}
                    }}",
                    lab.cluster_cidr(family),
                    server.ip(family),
                    server.ip(family),
                );
                nft::apply(node.ns(), &script).unwrap();
                let listed = nft::list_table(node.ns(), family, "by-hand").unwrap();
                assert!(listed.contains("masquerade"), "{listed}");
            }
            let own = |node: &Node| (node.ns().clone(), service);
            let from_pod = |name| (lab.pod(name).ns().clone(), service);
            let outside = |name| {
                let node_port = SocketAddr::new(lab.node(name).ip(family), 30080);
                (lab.client().ns().clone(), node_port)
            };
            let [near, far] = [&lab.nodes()[1], &lab.nodes()[0]];
            for ((client, to), seen) in [
                (from_pod("pod-1-1"), lab.pod("pod-1-1").ip(family)),
                (from_pod("pod-2-2"), lab.pod("pod-2-2").ip(family)),
                // Hairpin.
                (from_pod("pod-2-1"), near.pod_gateway(family)),
                (own(far), far.ip(family)),
                (own(near), near.pod_gateway(family)),
                (outside("node-1"), far.ip(family)),
                (outside("node-2"), near.pod_gateway(family)),
            ] {
                let reply = ask::tcp(&client, to).unwrap();
                assert_eq!((reply.pod.as_str(), reply.peer.ip()), ("pod-2-1", seen));
            }
        }
        let missing = nft::list_table(lab.client().ns(), Family::V4, "by-hand").unwrap_err();
        assert!(
            format!("{missing:#}").contains("No such file"),
            "{missing:#}"
        );
    });
}

/// Root runs the tests above directly; this runs one as an ordinary user does.
#[test]
fn an_ordinary_user_gets_a_lab_from_a_user_namespace() {
    if !rustix::process::geteuid().is_root() {
        return; // then the other tests have shown it
    }
    // It also shows that nf_tables works there.
    // "nobody" and "nogroup" on most systems; anyone but root will do.
    let nobody = 65534;
    let output = Command::new("/proc/self/exe")
        .args(["--exact", "--nocapture"])
        .arg("lab::tests::packets_for_services_can_be_translated_where_fairway_does")
        .uid(nobody)
        .gid(nobody)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    // Once inside, once outside.
    assert_eq!(stdout.matches("1 passed").count(), 2, "{stdout}{stderr}");
}
