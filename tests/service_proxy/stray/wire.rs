//! TCP packets without a connection.

use std::net::{IpAddr, SocketAddr};

use fairway_model::Protocol;
use fairway_testkit::lab::Namespace;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};

/// A raw socket: hears all TCP packets for a namespace, and sends whatever one likes.
pub(super) struct Wire(OwnedFd);

/// What matters of a TCP header.
#[derive(Clone, Copy)]
struct Segment {
    ports: [u16; 2],
    sequence: u32,
    acknowledged: u32,
    /// Of its data.
    length: u32,
}

impl Wire {
    /// Listens in the family of an address.
    pub(super) fn listen(namespace: &Namespace, of: SocketAddr) -> Self {
        let domain = match of {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let open = || rustix::net::socket_with(domain, SocketType::RAW, flags, Some(ipproto::TCP));
        Self(namespace.run(open).unwrap())
    }

    /// Sends data that is far from where the receiver is, in the connection between these two.
    ///
    /// A reset is believed only if its sequence number is the expected one. Who knows of no
    /// connection takes it from what the packet acknowledges: here, all that has come.
    pub(super) fn stray(&self, from: SocketAddr, to: SocketAddr) {
        let last = self.last(from.ip(), from.port());
        let segment = Segment {
            ports: [from.port(), to.port()],
            sequence: last.acknowledged.wrapping_add(1 << 30),
            acknowledged: last.sequence.wrapping_add(last.length),
            length: 0,
        };
        let bytes = segment.bytes(from.ip(), to.ip());
        // The socket has the protocol already; IPv6 takes a port for another one.
        let to = SocketAddr::new(to.ip(), 0);
        match rustix::net::sendto(&self.0, &bytes, SendFlags::empty(), &to) {
            // A node is told that its own packet was dropped.
            Ok(_) | Err(Errno::PERM) => {}
            Err(error) => panic!("cannot send: {error}"),
        }
    }

    /// The last packet with data that came to a port.
    fn last(&self, own: IpAddr, port: u16) -> Segment {
        let mut last = None;
        let mut buffer = [0; 2048];
        while let Ok((length, _)) = rustix::net::recv(&self.0, &mut buffer, RecvFlags::empty()) {
            let packet = &buffer[..length];
            let segment = match own {
                // With the header of IP, which has no options.
                IpAddr::V4(_) => &packet[20..],
                IpAddr::V6(_) => packet,
            };
            let segment = Segment::parse(segment);
            if segment.ports[1] == port && segment.length > 0 {
                last = Some(segment);
            }
        }
        last.expect("there has been a packet")
    }
}

impl Segment {
    const HEADER: usize = 20;
    const DATA: &[u8] = b"stray";
    const PUSH_AND_ACKNOWLEDGE: u8 = 0x18;
    const WINDOW: [u8; 2] = [0x10, 0];

    fn parse(bytes: &[u8]) -> Self {
        let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) << 16 | u32::from(u16_at(at + 2));
        let header = usize::from(bytes[12] >> 4) * 4;
        Self {
            ports: [u16_at(0), u16_at(2)],
            sequence: u32_at(4),
            acknowledged: u32_at(8),
            length: u32::try_from(bytes.len() - header).unwrap(),
        }
    }

    /// With some data.
    fn bytes(&self, from: IpAddr, to: IpAddr) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.ports.into_iter().flat_map(u16::to_be_bytes));
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledged.to_be_bytes());
        let header = u8::try_from(Self::HEADER / 4).unwrap();
        bytes.extend([header << 4, Self::PUSH_AND_ACKNOWLEDGE]);
        bytes.extend(Self::WINDOW);
        bytes.extend([0; 4]); // checksum, urgent pointer
        bytes.extend(Self::DATA);
        let checksum = checksum(from, to, &bytes).to_be_bytes();
        bytes[16..18].copy_from_slice(&checksum);
        bytes
    }
}

/// TCP's, over addresses, protocol, length and the segment.
fn checksum(from: IpAddr, to: IpAddr, segment: &[u8]) -> u16 {
    let mut covered = Vec::new();
    for address in [from, to] {
        match address {
            IpAddr::V4(address) => covered.extend(address.octets()),
            IpAddr::V6(address) => covered.extend(address.octets()),
        }
    }
    let length = u16::try_from(segment.len()).unwrap();
    covered.extend([0, Protocol::Tcp.number()]);
    covered.extend(length.to_be_bytes());
    covered.extend(segment);
    covered.resize(covered.len().next_multiple_of(2), 0);
    let words = covered
        .chunks(2)
        .map(|word| u16::from_be_bytes([word[0], word[1]]));
    let mut sum: u32 = words.map(u32::from).sum();
    while sum >> 16 > 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
