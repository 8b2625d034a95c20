//! What stands in the way of fairway on this node, and what to do about it.
//!
//! ```text
//! /proc, netlink, a scratch namespace -> gather -> Facts -> checks -> Findings -> text, JSON
//! ```
//!
//! Only gathering does I/O, and it changes nothing: what nf_tables can do is tried in a network namespace
//! that ends with the look.

mod checks;
mod facts;
mod finding;
mod gather;

pub use checks::check;
pub use facts::{
    Absent, Api, BaseChain, Facts, Feature, Flannel, Forbidden, Interface, Kernel, LeftOver,
    Listener, Wanted,
};
pub use finding::{Finding, Level, render};
pub use gather::{gather, kube_proxy_answers};
