//! Everything a test of fairway needs around it.

pub mod agent;
pub mod apiserver;
pub mod ask;
pub mod balancer;
pub mod echo;
mod family;
pub mod lab;
pub mod load;
pub mod manifests;
pub mod nft;
pub mod objects;
mod sys;

pub use agent::Agent;
pub use balancer::Balancer;
pub use family::Family;
pub use lab::Lab;
pub use manifests::Manifests;
