//! The netlink messages of nf_tables: what fairway sends and what it reads, nothing more.
//!
//! Everything is written into one `Vec<u8>` as it will be sent; see
//! `docs/decisions/0002-netlink-encoding.md` for why this is not left to a crate.

pub(crate) mod chain;
pub(crate) mod constants;
pub(crate) mod element;
mod expression;
pub(crate) mod flow_table;
pub(crate) mod reader;
pub(crate) mod rule;
pub(crate) mod set;
pub(crate) mod statement;
pub(crate) mod writer;

#[cfg(test)]
mod tests;
