//! Hears of changes that others make to our tables.

use std::io;
use std::sync::Arc;

use fairway_plan::TABLE;
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{AsyncSocket, AsyncSocketExt, TokioSocket};
use tokio::sync::Notify;

use crate::Netlink;
use crate::error::Error;
use crate::socket::{KERNEL, enlarge_receive_buffer, receive};
use crate::wire::constants::{
    NFNL_SUBSYS_NFTABLES, NFNLGRP_NFTABLES, NFT_MSG_NEWGEN, NFTA_TABLE_NAME, family_of,
};
use crate::wire::reader::{self, Message};

/// Room for the notifications that pile up while the control thread is busy: some 60,000 elements.
const NOTIFICATIONS: usize = 16 << 20;

/// The kernel puts notifications into datagrams of a page, or more for a single large one.
const DATAGRAM: usize = 64 << 10;

/// Datagrams looked at before a found change is reported, so that somebody who changes nf_tables
/// without a pause cannot keep us from saying so.
const AT_ONCE: usize = 10_000;

/// Notices when somebody other than one [`Netlink`] changes table `fairway` of either family.
///
/// The kernel tells every listener what was changed and by which socket, so our own changes are
/// those with the number of our own socket. Large commits of our own are not listened to at all
/// (see `Netlink::quietly`); their generation count shows whether somebody came between.
pub struct Monitor {
    listener: Arc<Listener>,
    own_port_id: u32,
    buffer: Box<[u8]>,
}

/// The socket that hears the notifications.
pub(crate) struct Listener {
    socket: TokioSocket,
    missed: Notify,
}

impl Monitor {
    /// Starts to listen; what `netlink` does from now on is not reported. Needs a tokio runtime with I/O.
    ///
    /// To miss nothing, open the monitor before the first [`read`](crate::Dataplane::read).
    pub fn open(netlink: &mut Netlink) -> Result<Self, Error> {
        let mut socket = TokioSocket::new(NETLINK_NETFILTER).map_err(Error::Open)?;
        socket.socket_mut().bind_auto().map_err(Error::Open)?;
        enlarge_receive_buffer(socket.socket_ref(), NOTIFICATIONS)?;
        let listener = Arc::new(Listener {
            socket,
            missed: Notify::new(),
        });
        listener.join()?;
        netlink.attach(Arc::downgrade(&listener));
        Ok(Self {
            listener,
            own_port_id: netlink.port_id(),
            buffer: vec![0; DATAGRAM].into(),
        })
    }

    /// Comes back when somebody else has changed, or may have changed, one of our tables. Several
    /// changes may be reported as one. Nothing is lost when the future is dropped.
    pub async fn changed(&mut self) -> Result<(), Error> {
        loop {
            let mut target = &mut *self.buffer;
            let received = tokio::select! {
                () = self.listener.missed.notified() => return Ok(()),
                received = self.listener.socket.recv_from(&mut target) => received,
            };
            let length = DATAGRAM - target.len();
            let received = match received {
                Ok(sender) if sender.port_number() == KERNEL => Ok(length),
                Ok(_) => continue,
                Err(error) => Err(Error::Socket("receive", error)),
            };
            // Whatever else waits belongs to the same answer.
            if self.concerns_us(received)? | self.drain()? {
                return Ok(());
            }
            // A flood of other people's changes must leave time for the other tasks of this thread.
            tokio::task::yield_now().await;
        }
    }

    /// Reads what has come, up to a limit. Returns whether it concerns us.
    fn drain(&mut self) -> Result<bool, Error> {
        let mut changed = false;
        for _ in 0..AT_ONCE {
            let received = receive(self.listener.socket.socket_ref(), &mut self.buffer);
            let Some(received) = received.transpose() else {
                break;
            };
            changed |= self.concerns_us(received)?;
        }
        Ok(changed)
    }

    /// Whether what was received, of which the length is given, may be a change of our tables.
    fn concerns_us(&self, received: Result<usize, Error>) -> Result<bool, Error> {
        match received {
            Ok(length) => Ok(match self.buffer.get(..length) {
                Some(datagram) if length < DATAGRAM => is_news(datagram, self.own_port_id),
                // It may have been cut off.
                _ => true,
            }),
            // There were more notifications than room for them.
            Err(Error::Socket(_, error)) if error.raw_os_error() == Some(ENOBUFS) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Whether a datagram has news of our tables that we did not cause.
fn is_news(datagram: &[u8], own_port_id: u32) -> bool {
    reader::messages(datagram)
        .any(|message| message.port_id != own_port_id && is_about_our_table(&message))
}

fn is_about_our_table(message: &Message<'_>) -> bool {
    message.kind >> 8 == NFNL_SUBSYS_NFTABLES
        && message.kind != NFT_MSG_NEWGEN
        && message.family().and_then(family_of).is_some()
        && reader::find(message.attributes(), NFTA_TABLE_NAME).and_then(reader::text) == Some(TABLE)
}

impl Listener {
    /// Listens to changes.
    pub(crate) fn join(&self) -> Result<(), Error> {
        self.socket
            .socket_ref()
            .add_membership(NFNLGRP_NFTABLES)
            .map_err(|error| Error::Socket("subscription", error))
    }

    /// Stops listening.
    pub(crate) fn leave(&self) -> io::Result<()> {
        self.socket.socket_ref().drop_membership(NFNLGRP_NFTABLES)
    }

    /// Reports a change that no notification told of.
    pub(crate) fn wake(&self) {
        self.missed.notify_one();
    }
}

const ENOBUFS: i32 = 105;
