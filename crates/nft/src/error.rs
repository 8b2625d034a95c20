//! What can go wrong between fairway and the kernel.

use std::fmt;
use std::io;

/// Why the kernel's tables could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel cannot open the socket at all.
    #[error(
        "cannot open a netfilter netlink socket: does this kernel have nf_tables (module nfnetlink)?"
    )]
    Open(#[source] io::Error),
    /// The kernel has netfilter, but not nf_tables.
    #[error(
        "this kernel has no nf_tables: load the module nf_tables, or use a kernel built with CONFIG_NF_TABLES"
    )]
    NoNfTables,
    /// Not allowed.
    #[error(
        "the kernel denies access to nf_tables: run as root or with CAP_NET_ADMIN in this network namespace"
    )]
    Denied,
    /// The kernel does not let its flows be listed.
    #[error(
        "this kernel does not tell its flows: load the module nf_conntrack_netlink, or use a kernel built with CONFIG_NF_CT_NETLINK"
    )]
    NoConntrack,
    /// Not allowed.
    #[error(
        "the kernel denies access to its flows: run as root or with CAP_NET_ADMIN in this network namespace"
    )]
    ConntrackDenied,
    /// Not an element but a table, chain, set or rule was refused; nothing of its batch was done.
    #[error("the kernel refused to {what}: {errno}{details}{hint}")]
    Refused {
        /// What was to be done, for example `create chain services`.
        what: String,
        /// The kernel's error number.
        errno: Errno,
        /// The kernel's own words, with a separator; mostly empty.
        details: String,
        /// What to check, with a separator; empty where nothing better is known.
        hint: String,
    },
    /// A rule names a network of the other family: a fault of whoever made the ruleset.
    #[error("a rule of chain {chain} compares with {network}, which is not of the table's family")]
    ForeignNetwork {
        /// The chain.
        chain: &'static str,
        /// The network.
        network: ipnet::IpNet,
    },
    /// Everything new is in place; what is no longer used could not be removed.
    #[error("what is no longer used could not be removed")]
    Cleanup(#[source] Box<Self>),
    /// The refused elements did not come to an end.
    #[error(
        "the kernel refused elements in {0} attempts in a row; see the log for the first of them"
    )]
    TooManyRefusals(usize),
    /// Others changed nf_tables all the time.
    #[error(
        "nf_tables changed during each of {0} attempts to read it: is another program rewriting rules without a pause?"
    )]
    Unsteady(usize),
    /// The kernel took a request and answered nothing, or something that cannot be.
    #[error("the kernel's answer to a netlink request cannot be understood: {0}")]
    Protocol(&'static str),
    /// Sending or receiving failed.
    #[error("netlink {0} failed")]
    Socket(&'static str, #[source] io::Error),
    /// One change is larger than what one message to the kernel may be.
    #[error(
        "a change of {size} bytes does not fit a socket buffer of {limit}: raise net.core.wmem_max or run with CAP_NET_ADMIN"
    )]
    TooLarge {
        /// Bytes that the change takes.
        size: usize,
        /// Bytes that one send may take.
        limit: usize,
    },
}

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// Not permitted.
    pub const EPERM: Self = Self(1);
    /// Does not exist.
    pub const ENOENT: Self = Self(2);
    /// Interrupted.
    pub const EINTR: Self = Self(4);
    /// To be tried again.
    pub const EAGAIN: Self = Self(11);
    /// Is in use, or exists with another value.
    pub const EBUSY: Self = Self(16);
    /// Exists already.
    pub const EEXIST: Self = Self(17);
    /// Makes no sense to the kernel.
    pub const EINVAL: Self = Self(22);
    /// The kernel has no such thing.
    pub const EOPNOTSUPP: Self = Self(95);
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}
