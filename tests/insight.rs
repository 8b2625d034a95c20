//! What people are told about a node: `fairway explain` and `fairway doctor`.

mod doctor;
mod explain;
