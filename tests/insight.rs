//! What people are told about a node: `fairway explain`, `doctor` and `check`.

mod check;
mod doctor;
mod explain;
