//! Flows that the kernel tracks because our rules ask for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Instant;

use fairway_model::{Port, Protocol};
use fairway_nft::{Conntrack, Dataplane, LocalAddresses, Netlink, Sweep};
use fairway_plan::{Family, Flow, FlowFilter};

use crate::namespace::in_namespace;
use crate::sample::{create, ruleset};

fn with_tracking(test: impl FnOnce() + Send + 'static) {
    in_namespace(|| {
        let status = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(status.expect("iproute2 is installed").success());
        let mut netlink = Netlink::open().unwrap();
        for family in Family::ALL {
            netlink.commit(&create(&ruleset(family))).unwrap();
        }
        test();
    });
}

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

fn send(to: SocketAddr) {
    let any: IpAddr = match to.is_ipv4() {
        true => Ipv4Addr::UNSPECIFIED.into(),
        false => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.send_to(b"hello", to).unwrap();
}

fn filter(port: Option<u16>) -> FlowFilter {
    FlowFilter {
        protocol: Protocol::Udp,
        port: port.and_then(Port::new),
    }
}

fn list(conntrack: &mut Conntrack, family: Family, port: Option<u16>) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    let note = |flow: &Flow| {
        assert_eq!(flow.protocol, Protocol::Udp);
        assert_eq!(flow.answered_from, flow.destination);
        assert!(!flow.translated);
        found.push(flow.destination);
        false
    };
    let sweep = conntrack.sweep(family, filter(port), note).unwrap();
    assert_eq!((sweep.seen, sweep.deleted), (found.len() as u64, 0));
    found.sort_unstable();
    found
}

#[test]
fn just_the_stale_flows_are_deleted() {
    with_tracking(|| {
        let ip4 = [(1, 53), (2, 53), (2, 54), (3, 53)];
        let ip4 = ip4.map(|(host, port)| SocketAddr::new(address(host), port));
        let ip6 = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 53);
        for to in ip4.into_iter().chain([ip6]) {
            send(to);
        }
        let mut conntrack = Conntrack::open().unwrap();
        assert_eq!(list(&mut conntrack, Family::Ip4, None), ip4);
        assert_eq!(list(&mut conntrack, Family::Ip4, Some(54)), [ip4[2]]);
        assert_eq!(list(&mut conntrack, Family::Ip6, Some(53)), [ip6]);

        let is_stale = |flow: &Flow| flow.destination.ip() == address(2);
        let sweep = conntrack.sweep(Family::Ip4, filter(Some(53)), is_stale);
        let expected = Sweep {
            seen: 3,
            deleted: 1,
        };
        assert_eq!(sweep.unwrap(), expected);
        let left = [ip4[0], ip4[2], ip4[3]];
        assert_eq!(list(&mut conntrack, Family::Ip4, None), left);
        assert_eq!(list(&mut conntrack, Family::Ip6, None), [ip6]);
    });
}

#[test]
fn many_flows_are_deleted_in_many_pieces() {
    with_tracking(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for port in 1..=5000 {
            socket.send_to(b"hello", (address(1), port)).unwrap();
        }
        let mut conntrack = Conntrack::open().unwrap();
        let is_stale = |flow: &Flow| flow.destination.port().is_multiple_of(2);
        let sweep = conntrack.sweep(Family::Ip4, filter(None), is_stale);
        let expected = Sweep {
            seen: 5000,
            deleted: 2500,
        };
        assert_eq!(sweep.unwrap(), expected);
        let left = list(&mut conntrack, Family::Ip4, None);
        assert_eq!(left.len(), 2500);
        assert!(left.iter().all(|to| to.port() % 2 == 1));
    });
}

#[test]
fn without_flows_there_is_nothing_to_do() {
    in_namespace(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let sweep = conntrack.sweep(Family::Ip6, filter(None), |_| true);
        assert_eq!(sweep.unwrap(), Sweep::default());
    });
}

#[test]
fn the_nodes_own_addresses_are_known() {
    with_tracking(|| {
        let mut local = LocalAddresses::open().unwrap();
        for ours in [address(1), address(200), Ipv6Addr::LOCALHOST.into()] {
            assert!(local.contains(ours).unwrap(), "{ours}");
            assert!(local.contains(ours).unwrap(), "{ours}, remembered");
        }
        for other in ["198.51.100.1", "2001:db8::1"] {
            assert!(!local.contains(other.parse().unwrap()).unwrap(), "{other}");
        }
    });
}

/// How long it takes, and in how much memory. Raises a limit of the whole machine meanwhile.
#[test]
#[ignore = "makes a million flows, and changes net.netfilter.nf_conntrack_max of the machine"]
fn a_million_flows() {
    const FLOWS: u64 = 1_000_000;
    let _raised = Limit::raise(2 * FLOWS);
    with_tracking(|| {
        // Of this namespace alone: that none ends before it is looked at.
        std::fs::write("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "600").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..FLOWS {
            // 127.0.0.0 is nobody's.
            let [_, a, b, c] = u32::try_from(number / 2 + 1).unwrap().to_be_bytes();
            let address = Ipv4Addr::new(127, a, b, c);
            let port = if number.is_multiple_of(2) { 53 } else { 54 };
            // Nobody listens: what comes back is of no interest.
            let _ = socket.send_to(b"hello", (address, port));
        }
        let mut conntrack = Conntrack::open().unwrap();
        let memory = memory();
        let looks = [
            ("of all ports", None, FLOWS),
            ("of one port", Some(53), FLOWS / 2),
        ];
        for (what, port, there) in looks {
            let mut left = there;
            for every in [FLOWS, 1000, 1] {
                let mut count = 0_u64;
                let is_stale = |_: &Flow| {
                    count += 1;
                    u64::is_multiple_of(count, every) && port.is_some()
                };
                let (started, cpu) = (Instant::now(), cpu());
                let sweep = conntrack.sweep(Family::Ip4, filter(port), is_stale);
                let sweep = sweep.unwrap();
                assert_eq!(sweep.seen, left);
                left -= sweep.deleted;
                println!(
                    "{what}: {sweep:?} in {:?}, CPU {} ms, memory {} KiB more",
                    started.elapsed(),
                    (self::cpu() - cpu) * 10,
                    self::memory() - memory
                );
            }
        }
        assert!(
            self::memory() - memory < 1024,
            "memory does not grow with the table"
        );
    });
}

/// `nf_conntrack_max`, which is one for all namespaces: put back at the end, however that comes.
struct Limit {
    before: String,
}

impl Limit {
    const FILE: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

    fn raise(flows: u64) -> Self {
        let before = std::fs::read_to_string(Self::FILE).unwrap();
        std::fs::write(Self::FILE, flows.to_string()).unwrap();
        Self { before }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Err(error) = std::fs::write(Self::FILE, &self.before) {
            eprintln!("{} was {}: {error}", Self::FILE, self.before.trim());
        }
    }
}

/// The most memory that this process has had so far, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.unwrap().split_whitespace().next();
    words.unwrap().parse().unwrap()
}

/// The time that this thread has used, in ticks of 10 ms.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = fields.split_whitespace().collect();
    fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum()
}
