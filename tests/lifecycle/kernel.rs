//! Kernel settings: those of kube-proxy, only where they differ, and without ado where they may not be
//! written.

use std::fs;
use std::time::Duration;

use fairway_testkit::lab::{self, Namespace};
use fairway_testkit::{Agent, Lab};

use crate::support::shown::{problems, shows_problem};
use crate::support::{Cluster, Feed, becomes, fairway, fed_both_ways};

fed_both_ways!(settings_are_written_where_they_differ_and_once);

const ESTABLISHED: &str = "nf_conntrack_tcp_timeout_established";
const CLOSE_WAIT: &str = "nf_conntrack_tcp_timeout_close_wait";
const LIBERAL: &str = "nf_conntrack_tcp_be_liberal";
const UDP: &str = "nf_conntrack_udp_timeout";
const UDP_STREAM: &str = "nf_conntrack_udp_timeout_stream";
const PATIENCE: Duration = Duration::from_secs(20);
const WRITTEN: &str = "set a kernel setting";

fn setting(namespace: &Namespace, name: &str) -> String {
    let path = format!("/proc/sys/net/netfilter/{name}");
    let value = namespace.run(|| fs::read_to_string(path)).unwrap();
    value.trim().to_owned()
}

/// All of it until the agent is ready: it answers health checks a moment before its log is read.
fn log(agent: &Agent) -> String {
    agent.wait_for_log(": ready", PATIENCE).unwrap();
    agent.stderr()
}

fn settings_are_written_where_they_differ_and_once(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1));
    let cluster = cluster.with_flags(&[
        "--cluster-cidr=10.244.0.0/16",
        "--conntrack-tcp-timeout-established=1h",
        "--conntrack-udp-timeout=45s",
    ]);
    let lab = cluster.lab();
    let ns = lab.node("node-1").ns();
    let [liberal, stream] = [LIBERAL, UDP_STREAM].map(|name| setting(ns, name));
    cluster.start();
    assert_eq!(setting(ns, ESTABLISHED), "3600");
    // The default of kube-proxy, which is not the kernel's.
    assert_eq!(setting(ns, CLOSE_WAIT), "3600");
    assert_eq!(setting(ns, UDP), "45");
    // What nobody asked for stays.
    assert_eq!(setting(ns, LIBERAL), liberal);
    assert_eq!(setting(ns, UDP_STREAM), stream);
    assert_eq!(log(&cluster.agent("node-1")).matches(WRITTEN).count(), 3);

    cluster.agent("node-1").kill().unwrap();
    let log = log(&cluster.start_agent("node-1"));
    assert_eq!(log.matches(WRITTEN).count(), 0, "{log}");
}

#[test]
fn settings_that_may_not_be_written_are_told_and_left() {
    lab::test(|| {
        let cluster = Cluster::new(Feed::Manifests, Lab::builder().nodes(1));
        let ns = cluster.lab().node("node-1").ns();
        let before = setting(ns, CLOSE_WAIT);
        // As in a container that is not privileged.
        let script = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && \
                      exec \"$@\"";
        let program = fairway().to_str().unwrap().to_owned();
        let arguments = ["--mount", "sh", "-c", script, "sh"].map(str::to_owned);
        let arguments = arguments.into_iter().chain([program]);
        let arguments = arguments.chain(cluster.run_arguments("node-1"));
        let agent = Agent::start(ns, "unshare".as_ref(), arguments).unwrap();
        let log = log(&agent);
        let line = log.lines().find(|line| line.contains(CLOSE_WAIT));
        let line = line.unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains(" WARN "), "{line}");
        let said = format!("is {before} and should be 3600, but may not be written");
        assert!(line.contains(&said), "{line}");
        assert_eq!(setting(ns, CLOSE_WAIT), before);
        // And shown for as long as it is so.
        let said = format!("{CLOSE_WAIT} is {before} and should be 3600");
        shows_problem(&cluster, "KernelSetting", &said);
        ns.run(|| fs::write(format!("/proc/sys/net/netfilter/{CLOSE_WAIT}"), "3600"))
            .unwrap();
        becomes(false, &said, || {
            let shown = problems(&cluster);
            shown
                .iter()
                .flatten()
                .any(|(_, text)| text.contains(CLOSE_WAIT))
        });
    });
}

#[test]
fn init_only_sets_them_and_ends() {
    lab::test(|| {
        let cluster = Cluster::new(Feed::Manifests, Lab::builder().nodes(1));
        let ns = cluster.lab().node("node-1").ns();
        let flags = [
            "run",
            "--init-only",
            "--conntrack-tcp-timeout-close-wait=7s",
        ];
        let output = cluster.fairway("node-1", &flags);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(setting(ns, CLOSE_WAIT), "7");
        assert!(!cluster.tables("node-1").contains("chain"));
    });
}
