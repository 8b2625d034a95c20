//! The sockets of this network namespace that wait for clients, as `ss -ltun` lists them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use fairway_model::Protocol;
use fairway_plan::Family;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, SockDiagMessage};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use crate::error::{Errno, Error};
use crate::socket::{self, KERNEL};

/// The kernel fills datagrams of a list up to this size, if the reader has that much room.
const DATAGRAM: usize = 32 * 1024;

/// A socket that waits for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListeningSocket {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where; the address is unspecified for all of the node's, and never an IPv4 address in IPv6 form.
    pub address: SocketAddr,
    /// It takes IPv6 only: one that is not and listens on `[::]` takes IPv4, too.
    pub only_ip6: bool,
}

/// The TCP sockets that listen and the UDP sockets that are not connected, sorted. Goes through all of
/// the kernel's listening TCP sockets and all UDP sockets.
pub fn listening_sockets() -> Result<Vec<ListeningSocket>, Error> {
    let mut socket = netlink_sys::Socket::new(NETLINK_SOCK_DIAG).map_err(Error::Open)?;
    socket.bind_auto().map_err(Error::Open)?;
    socket
        .set_non_blocking(true)
        .map_err(|error| Error::Socket("setup", error))?;
    let mut sockets = Vec::new();
    for family in Family::ALL {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            list(&socket, family, protocol, &mut sockets)?;
        }
    }
    sockets.sort_unstable();
    sockets.dedup();
    Ok(sockets)
}

impl ListeningSocket {
    /// Whether clients of a family may reach it.
    pub fn serves(&self, family: Family) -> bool {
        let IpAddr::V6(address) = self.address.ip() else {
            return family == Family::Ip4;
        };
        family == Family::Ip6 || address.is_unspecified() && !self.only_ip6
    }
}

fn list(
    socket: &netlink_sys::Socket,
    family: Family,
    protocol: Protocol,
    sockets: &mut Vec<ListeningSocket>,
) -> Result<(), Error> {
    let mut request = NetlinkMessage::new(
        NetlinkHeader::default(),
        NetlinkPayload::from(SockDiagMessage::InetRequest(request(family, protocol))),
    );
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.finalize();
    let mut buffer = vec![0; request.buffer_len()];
    request.serialize(&mut buffer);
    socket
        .send_to(&buffer, &netlink_sys::SocketAddr::new(KERNEL, 0), 0)
        .map_err(|error| Error::Socket("send", error))?;
    let mut buffer = vec![0; DATAGRAM];
    while let Some(length) = socket::receive(socket, &mut buffer)? {
        let Some(mut rest) = buffer.get(..length) else {
            return Err(Error::Protocol("it is longer than a datagram may be"));
        };
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|error| Error::Socket("receive", io::Error::other(error)))?;
            let size = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(size.max(1)..).unwrap_or_default();
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    let SocketId {
                        source_address,
                        source_port,
                        ..
                    } = response.header.socket_id;
                    sockets.push(ListeningSocket {
                        protocol,
                        address: SocketAddr::new(source_address.to_canonical(), source_port),
                        only_ip6: response.nlas.contains(&Nla::SkV6Only(true)),
                    });
                }
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => {
                    return Err(match Errno(-error.raw_code()) {
                        // There is no module for this protocol.
                        Errno::ENOENT => Error::Protocol("the kernel does not list sockets"),
                        errno => Error::Socket("request", errno.into()),
                    });
                }
                _ => {}
            }
        }
    }
    Err(Error::Protocol("a list without an end"))
}

fn request(family: Family, protocol: Protocol) -> InetRequest {
    let (family, socket_id) = match family {
        Family::Ip4 => (AF_INET, SocketId::new_v4()),
        Family::Ip6 => (AF_INET6, SocketId::new_v6()),
    };
    // A UDP socket that is not connected is "closed".
    let (protocol, states) = match protocol {
        Protocol::Udp => (IPPROTO_UDP, StateFlags::CLOSE),
        _ => (IPPROTO_TCP, StateFlags::LISTEN),
    };
    InetRequest {
        family,
        protocol,
        extensions: ExtensionFlags::empty(),
        states,
        socket_id,
    }
}
