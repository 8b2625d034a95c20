//! The sets of ipset, which mode ipvs has its addresses in.

use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use crate::error::{Errno, Error};
use crate::socket::Socket;
use crate::wire::constants::{NLM_F_ACK, NLM_F_EXCL, NLMSG_ERROR};
use crate::wire::writer::Writer;

/// Without the prefixes `KUBE-` and, for IPv6, `KUBE-6-`.
const NAMES: [&str; 17] = [
    "LOOP-BACK",
    "CLUSTER-IP",
    "EXTERNAL-IP",
    "EXTERNAL-IP-LOCAL",
    "LOAD-BALANCER",
    "LOAD-BALANCER-LOCAL",
    "LOAD-BALANCER-FW",
    "LOAD-BALANCER-SOURCE-IP",
    "LOAD-BALANCER-SOURCE-CIDR",
    "NODE-PORT-TCP",
    "NODE-PORT-LOCAL-TCP",
    "NODE-PORT-UDP",
    "NODE-PORT-LOCAL-UDP",
    "NODE-PORT-SCTP-HASH",
    "NODE-PORT-LOCAL-SCTP-HASH",
    "HEALTH-CHECK-NODE-PORT",
    "IPVS-IPS",
];

/// The kernel's longest name, without the closing zero (`IPSET_MAXNAMELEN`); kube-proxy cuts to it.
const LONGEST: usize = 31;

// linux/netfilter/nfnetlink.h and linux/netfilter/ipset/ip_set.h
const NFNL_SUBSYS_IPSET: u16 = 6;
const IPSET_CMD_DESTROY: u16 = NFNL_SUBSYS_IPSET << 8 | 3;
const IPSET_ATTR_PROTOCOL: u16 = 1;
const IPSET_ATTR_SETNAME: u16 = 2;
/// The oldest that kernels still speak.
const IPSET_PROTOCOL: u8 = 6;
/// Rules refer to it. ipset's own numbers begin at 4096.
const IPSET_ERR_BUSY: Errno = Errno(4100);

/// The kernel lets go of the rules of a batch some time after it is done.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Destroys kube-proxy's sets, and tells which there were. A set that a rule still refers to stays.
///
/// # Errors
///
/// When the kernel denies it. One without ipset has no sets.
pub fn destroy() -> Result<Vec<String>, Error> {
    let mut socket = Socket::open()?;
    let mut destroyed = Vec::new();
    for name in names() {
        for _ in 0..ATTEMPTS {
            match destroy_one(&mut socket, &name)? {
                Errno(0) => destroyed.push(name.clone()),
                IPSET_ERR_BUSY | Errno::EBUSY => {
                    thread::sleep(PAUSE);
                    continue;
                }
                Errno::EPERM => return Err(Error::Denied),
                // There is no such set, or no ipset.
                _ => {}
            }
            break;
        }
    }
    Ok(destroyed)
}

fn names() -> impl Iterator<Item = String> {
    let both = NAMES
        .iter()
        .flat_map(|name| [format!("KUBE-{name}"), format!("KUBE-6-{name}")]);
    both.map(|mut name| {
        name.truncate(LONGEST);
        name
    })
}

fn destroy_one(socket: &mut Socket, name: &str) -> Result<Errno, Error> {
    let sequence = socket.reserve(0);
    let mut writer = Writer::default();
    // Without NLM_F_EXCL a set that is not there counts as destroyed.
    let flags = NLM_F_ACK | NLM_F_EXCL;
    writer.message(IPSET_CMD_DESTROY, flags, sequence, 0, |writer| {
        writer.attribute(IPSET_ATTR_PROTOCOL, &[IPSET_PROTOCOL]);
        writer.string(IPSET_ATTR_SETNAME, name);
    });
    socket.send(writer.bytes())?;
    let mut answer = None;
    socket.receive(|message| {
        if message.sequence == sequence && message.kind == NLMSG_ERROR {
            answer = message.answer().map(|answer| Errno(answer.errno));
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    answer.ok_or(Error::Protocol("none came"))
}
