use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::error::Error;
use crate::socket::{self, KERNEL};

/// Answers to remember. A node has a handful of addresses, but anybody can send to a million.
const REMEMBERED: usize = 1024;

/// Tells the addresses of this node from others, as `fib daddr type local` does: by asking for the route.
pub struct LocalAddresses {
    socket: netlink_sys::Socket,
    known: HashMap<IpAddr, bool>,
}

impl LocalAddresses {
    /// Opens a socket. Answers are remembered for as long as it is open.
    pub fn open() -> Result<Self, Error> {
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE).map_err(Error::Open)?;
        socket.bind_auto().map_err(Error::Open)?;
        socket
            .set_non_blocking(true)
            .map_err(|error| Error::Socket("setup", error))?;
        Ok(Self {
            socket,
            known: HashMap::new(),
        })
    }

    /// Whether packets to the address end at this node.
    pub fn contains(&mut self, address: IpAddr) -> Result<bool, Error> {
        if let Some(known) = self.known.get(&address) {
            return Ok(*known);
        }
        if self.known.len() == REMEMBERED {
            self.known.clear();
        }
        let local = self.ask(address)?;
        self.known.insert(address, local);
        Ok(local)
    }

    fn ask(&self, address: IpAddr) -> Result<bool, Error> {
        let mut request = NetlinkMessage::new(
            NetlinkHeader::default(),
            NetlinkPayload::from(RouteNetlinkMessage::GetRoute(to(address))),
        );
        request.header.flags = NLM_F_REQUEST;
        request.finalize();
        let mut buffer = vec![0; request.buffer_len()];
        request.serialize(&mut buffer);
        self.socket
            .send_to(&buffer, &netlink_sys::SocketAddr::new(KERNEL, 0), 0)
            .map_err(|error| Error::Socket("send", error))?;
        // The answer is there when the request has been sent.
        let mut buffer = vec![0; 4096];
        let length = socket::receive(&self.socket, &mut buffer)?;
        let answer = length.and_then(|length| buffer.get(..length));
        let answer = answer.ok_or(Error::Protocol("no answer to a question for a route"))?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(answer)
            .map_err(|error| Error::Socket("receive", io::Error::other(error)))?;
        Ok(match answer.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => {
                route.header.kind == RouteType::Local
            }
            // Without a route the address is nobody's here.
            _ => false,
        })
    }
}

fn to(address: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    let (family, prefix, address) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, 32, RouteAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(address)),
    };
    message.header.address_family = family;
    message.header.destination_prefix_length = prefix;
    message
        .attributes
        .push(RouteAttribute::Destination(address));
    message
}
