//! Lets packets of established connections through Services pass the node without its chains: a flow
//! table of the kernel, in a table of its own (`inet fairway-flows`).

use std::fmt::{self, Write as _};
use std::ops::ControlFlow;

use crate::error::{Errno, Error};
use crate::netlink::read;
use crate::socket::{self, Socket};
use crate::text;
use crate::wire::constants::{NFPROTO_INET, NLMSG_ERROR};
use crate::wire::flow_table::{CHAIN, FLOW_TABLE, HOOK, TABLE, replace};
use crate::wire::writer::Writer;

#[cfg(test)]
mod tests;

/// The flow table of the network namespace in which it was opened.
///
/// Only TCP connections to Services are put into it, when both ends have spoken. The kernel takes them
/// out when they close, and when the route or an interface of theirs goes. What is in it costs no look-up
/// in any chain and no decision about a route; filters of others in the hook `forward` do not see it.
/// An endpoint that goes away changes nothing for them, as for all established connections.
pub struct FlowTable {
    socket: Socket,
}

impl FlowTable {
    /// Opens a socket.
    ///
    /// # Errors
    ///
    /// When there is none to be had.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open()?,
        })
    }

    /// Replaces what is there, in one batch, by a flow table for packets that come in through one of
    /// these interfaces; without interfaces, removes it. Connections that were in the one before take
    /// the way through the chains until their next packet.
    ///
    /// # Errors
    ///
    /// When the kernel has no flow tables, or lacks one of the interfaces; what was there stays.
    pub fn replace(&mut self, interfaces: &[String]) -> Result<(), Error> {
        if interfaces.is_empty() && !read::exists(&mut self.socket, NFPROTO_INET, TABLE)? {
            return Ok(());
        }
        let sequence = self.socket.reserve(0);
        let mut writer = Writer::default();
        writer.batch_begin(sequence);
        let steps = replace(&mut writer, sequence, interfaces);
        let count = u32::try_from(steps.len()).expect("six at most");
        writer.batch_end(self.socket.reserve(count));
        self.socket.send(writer.bytes())?;
        self.answers(sequence, &steps)
    }

    /// Every step is answered, also those after one that was refused; the opening only if the whole is.
    fn answers(&mut self, sequence: u32, steps: &[&'static str]) -> Result<(), Error> {
        let mut refused = None;
        let answered = self.socket.receive(|message| {
            let step = message.sequence.wrapping_sub(sequence) as usize;
            let of_ours = step <= steps.len() && message.kind == NLMSG_ERROR;
            let Some(answer) = message.answer().filter(|_| of_ours) else {
                return Ok(ControlFlow::Continue(()));
            };
            let errno = Errno(answer.errno);
            match step.checked_sub(1) {
                None => return Err(socket::refusal(errno)),
                Some(at) if errno.0 != 0 && refused.is_none() => {
                    refused = Some((steps[at], errno));
                }
                Some(_) => {}
            }
            Ok(match step == steps.len() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        match refused {
            Some((what, errno)) => Err(refusal(what, errno)),
            None if answered => Ok(()),
            None => Err(Error::Protocol("not to every step")),
        }
    }

    /// The same as text in nft's language; nothing without interfaces.
    pub fn text(interfaces: &[String]) -> String {
        let mut out = String::new();
        write(&mut out, interfaces).expect("writing to a String cannot fail");
        out
    }
}

fn refusal(what: &str, errno: Errno) -> Error {
    let hint = match errno {
        Errno::ENOENT | Errno::EOPNOTSUPP => {
            ": does the kernel have flow tables (modules nf_flow_table_inet and nft_flow_offload, \
             CONFIG_NF_FLOW_TABLE_INET), and the node the interfaces?"
        }
        _ => "",
    };
    Error::Refused {
        what: format!("create {what} of table inet {TABLE}"),
        errno,
        details: String::new(),
        hint: hint.to_owned(),
    }
}

fn write(out: &mut String, interfaces: &[String]) -> fmt::Result {
    if interfaces.is_empty() {
        return Ok(());
    }
    let hook = text::hook_text(HOOK);
    writeln!(out, "table inet {TABLE} {{")?;
    writeln!(out, "\tflowtable {FLOW_TABLE} {{")?;
    writeln!(out, "\t\thook ingress priority filter")?;
    writeln!(out, "\t\tdevices = {{ {} }}", interfaces.join(", "))?;
    writeln!(out, "\t}}\n\n\tchain {CHAIN} {{")?;
    writeln!(out, "\t\t{hook}")?;
    let conditions = "meta l4proto tcp ct state established ct status dnat";
    writeln!(out, "\t\t{conditions} flow add @{FLOW_TABLE}")?;
    writeln!(out, "\t}}\n}}")
}
