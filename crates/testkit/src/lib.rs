//! Everything a test of fairway needs around it.

pub mod apiserver;
pub mod ask;
pub mod echo;
mod family;
pub mod lab;
mod sys;

pub use family::Family;
pub use lab::Lab;
