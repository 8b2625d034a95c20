//! Between [`fairway_plan`]'s vocabulary and nf_tables: a [`Transaction`] to the kernel over netlink,
//! the kernel's tables back as [`Observed`], word of what others change there, the same as text in
//! nft's language, and a stand-in for the kernel in tests. No `nft` process is involved.
//!
//! ```text
//! Transaction -> batch (packs, splits, retries) -> wire (encodes) -> socket -> kernel
//!                 ^ answers: which element was refused -----------------------'  |
//! Observed <- netlink::read <----------------------------------------------------+
//! Monitor  <- notifications <----------------------------------------------------'
//! ```
//!
//! Beside it [`Conntrack`], which finds the flows that a change leaves behind, and
//! [`listening_sockets`], which finds the processes that a node port takes clients from, [`FlowTable`], which
//! lets established connections pass without the chains, and [`leftovers`], what kube-proxy leaves behind.

mod batch;
mod conntrack;
mod error;
mod fake;
mod flow_table;
pub mod leftovers;
mod listeners;
#[cfg(feature = "measuring")]
#[doc(hidden)]
pub mod measuring;
mod monitor;
mod netlink;
mod socket;
pub mod text;
mod wire;

use fairway_plan::{Bytes, Element, Family, Observed, SetName, Transaction};

pub use conntrack::{Conntrack, LocalAddresses, Sweep};
pub use error::{Errno, Error};
pub use fake::Fake;
pub use flow_table::FlowTable;
pub use listeners::{ListeningSocket, listening_sockets};
pub use monitor::Monitor;
pub use netlink::{ForeignChain, KubeProxy, Netlink};

/// Something that holds fairway's tables: the kernel, or a stand-in for it.
///
/// To remove all that fairway programmed, commit a [`DestroyTable`](fairway_plan::Change::DestroyTable)
/// in each family.
pub trait Dataplane {
    /// What it holds of our table, all of it from one moment. Elements are in the order of their keys.
    fn read(&mut self, family: Family) -> Result<Observed, Error>;

    /// The elements of one of our sets, in the order of their keys; none if there is no such set.
    /// Of a map that packets fill, those that were there all the while.
    fn elements(&mut self, family: Family, set: SetName) -> Result<Vec<Element>, Error>;

    /// How many packets each element of a set that [counts](SetName::counts) has counted since it is
    /// there, by key; nothing if there is no such set. What changes meanwhile may be left out.
    fn counters(&mut self, family: Family, set: SetName) -> Result<Vec<(Bytes, u64)>, Error>;

    /// The same for these keys, each of which must be there.
    fn counters_of(
        &mut self,
        family: Family,
        set: SetName,
        keys: &[Bytes],
    ) -> Result<Vec<(Bytes, u64)>, Error>;

    /// Runs `make`, then `release`.
    ///
    /// Each is one atomic batch; only where it does not fit the socket's buffer (64 MiB, or
    /// `net.core.wmem_max` without privileges on the host) is it cut between changes, in their order. Elements of a
    /// table that is new come in batches of their own, which is faster; no packet meets them before its chains are there.
    /// An element that is refused is left out and reported, and everything else is done. To delete
    /// what is not there and to add what is there with the same value counts as done. After an error
    /// the batch it happened in has not changed anything; those before it have.
    fn commit(&mut self, transaction: &Transaction) -> Result<Report, Error>;
}

/// What became of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Changes that were taken.
    pub writes: usize,
    /// Elements that were not.
    pub refused: Vec<Refused>,
}

/// An element that was refused. One whose replacement was refused keeps its old value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The element.
    pub element: Element,
    /// Why. `EEXIST` says that the key is there with another value: the table is not what the
    /// planner thinks, and should be read again.
    pub errno: Errno,
}
