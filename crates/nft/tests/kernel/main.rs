//! The real kernel, a new network namespace for every test.

#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

mod commit;
mod connections;
mod conntrack;
mod flow_table;
mod layout;
mod listeners;
mod monitor;
mod namespace;
mod nft;
mod random;
mod sample;
mod scale;
