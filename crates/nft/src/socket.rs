//! The sockets that the kernel is spoken to with.

use std::io;
use std::ops::ControlFlow;

use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_NETFILTER;
use rustix::net::sockopt;

use crate::error::{Errno, Error};
use crate::wire::constants::{NFT_MSG_GETGEN, NFT_MSG_NEWGEN, NFTA_GEN_ID, NLMSG_ERROR};
use crate::wire::reader::{self, Message};
use crate::wire::writer::Writer;

/// The largest batch to send at once. A commit of 100,000 services with 3 elements each takes
/// 17 MB; the kernel holds a batch in memory as one piece while it executes it.
const LARGEST_BATCH: usize = 64 << 20;

/// Room for answers: a kernel that refuses elements one by one queues about 1 KiB for each.
const ANSWERS: usize = 8 << 20;

/// Dumps come in pieces of at most 32 KiB if the reader offers that much.
const DATAGRAM: usize = 64 << 10;

/// The kernel's own port.
pub(crate) const KERNEL: u32 = 0;

/// A socket for requests. The kernel runs a request while it is sent, so an answer is there when
/// `send` comes back, and nothing here ever waits.
pub(crate) struct Socket {
    inner: netlink_sys::Socket,
    port_id: u32,
    sequence: u32,
    send_limit: usize,
    buffer: Box<[u8]>,
}

impl Socket {
    pub(crate) fn open() -> Result<Self, Error> {
        let (inner, port_id) = open()?;
        inner
            .set_ext_ack(true)
            .and_then(|()| inner.set_cap_ack(true))
            .map_err(|error| Error::Socket("setup", error))?;
        let size = LARGEST_BATCH / 2; // the kernel doubles it
        if sockopt::set_socket_send_buffer_size_force(&inner, size).is_err() {
            // Without privileges on the host the limit is net.core.wmem_max, and batches are split.
            sockopt::set_socket_send_buffer_size(&inner, size)
                .map_err(|error| Error::Socket("setup", error.into()))?;
        }
        enlarge_receive_buffer(&inner, ANSWERS)?;
        let send_limit = sockopt::socket_send_buffer_size(&inner)
            .map_err(|error| Error::Socket("setup", error.into()))?
            .saturating_sub(32) // the kernel's allowance for its own header
            .min(LARGEST_BATCH);
        Ok(Self {
            inner,
            port_id,
            sequence: 0,
            send_limit,
            buffer: vec![0; DATAGRAM].into(),
        })
    }

    /// The number that the kernel knows this socket by.
    pub(crate) fn port_id(&self) -> u32 {
        self.port_id
    }

    /// The largest datagram that can be sent.
    pub(crate) fn send_limit(&self) -> usize {
        self.send_limit
    }

    /// A sequence number that no request had for a long time, followed by `count` more.
    pub(crate) fn reserve(&mut self, count: u32) -> u32 {
        let first = self.sequence.wrapping_add(1);
        self.sequence = first.wrapping_add(count);
        first
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        loop {
            match self.inner.send_to(bytes, &SocketAddr::new(KERNEL, 0), 0) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                Ok(_) => return Err(Error::Protocol("it took a part of a request")),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Socket("send", error)),
            }
        }
    }

    /// Hands on the messages that wait to be read, until `each` has what it wants.
    /// Returns whether `each` got that.
    pub(crate) fn receive(
        &mut self,
        mut each: impl FnMut(Message<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<bool, Error> {
        while let Some(length) = receive(&self.inner, &mut self.buffer)? {
            let Some(datagram) = self.buffer.get(..length) else {
                return Err(Error::Protocol("it is longer than a datagram may be"));
            };
            for message in reader::messages(datagram) {
                if each(message)?.is_break() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The number of changes that nf_tables has seen in this network namespace.
    pub(crate) fn generation(&mut self) -> Result<u32, Error> {
        let sequence = self.reserve(0);
        let mut writer = Writer::default();
        writer.message(NFT_MSG_GETGEN, 0, sequence, 0, |_| {});
        self.send(writer.bytes())?;
        let mut generation = None;
        self.receive(|message| {
            if message.sequence != sequence {
                return Ok(ControlFlow::Continue(()));
            }
            match message.kind {
                NFT_MSG_NEWGEN => {
                    generation =
                        reader::find(message.attributes(), NFTA_GEN_ID).and_then(reader::number);
                    Ok(ControlFlow::Break(()))
                }
                NLMSG_ERROR => Err(message
                    .answer()
                    .map_or(Error::Protocol("an error without a number"), |answer| {
                        refusal(Errno(answer.errno))
                    })),
                _ => Ok(ControlFlow::Continue(())),
            }
        })?;
        generation.ok_or(Error::Protocol("no generation"))
    }
}

/// The kernel does not take a request at all.
pub(crate) fn refusal(errno: Errno) -> Error {
    match errno {
        Errno::EPERM => Error::Denied,
        // nfnetlink knows no such subsystem, and loading it on demand failed.
        Errno::EINVAL | Errno::EOPNOTSUPP => Error::NoNfTables,
        errno => Error::Socket("request", errno.into()),
    }
}

/// Opens a socket that never waits, and tells its number.
fn open() -> Result<(netlink_sys::Socket, u32), Error> {
    let mut socket = netlink_sys::Socket::new(NETLINK_NETFILTER).map_err(Error::Open)?;
    let address = socket.bind_auto().map_err(Error::Open)?;
    socket
        .set_non_blocking(true)
        .map_err(|error| Error::Socket("setup", error))?;
    Ok((socket, address.port_number()))
}

/// Makes room for `size` bytes of messages, or for as much as may be had.
pub(crate) fn enlarge_receive_buffer(
    socket: &netlink_sys::Socket,
    size: usize,
) -> Result<(), Error> {
    let size = size / 2; // the kernel doubles it
    sockopt::set_socket_recv_buffer_size_force(socket, size)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, size))
        .map_err(|error| Error::Socket("setup", error.into()))
}

/// The length of the next datagram of the kernel, which may be longer than the buffer; None if
/// there is none.
pub(crate) fn receive(
    socket: &netlink_sys::Socket,
    buffer: &mut [u8],
) -> Result<Option<usize>, Error> {
    loop {
        let mut target = &mut *buffer;
        // MSG_TRUNC: tell the datagram's length even where the buffer is shorter.
        match socket.recv_from(&mut target, MSG_TRUNC) {
            Ok((length, sender)) if sender.port_number() == KERNEL => return Ok(Some(length)),
            Ok(_) => {} // other programs have nothing to say here
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(None),
                io::ErrorKind::Interrupted => {}
                _ => return Err(Error::Socket("receive", error)),
            },
        }
    }
}

const MSG_TRUNC: i32 = 0x20;
