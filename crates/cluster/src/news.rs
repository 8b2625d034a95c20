use fairway_model::ObjectName;

use crate::Problem;

/// Something about an object that its owner should know, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// What it asks for and does not get.
    Problem(Problem),
    /// An Ingress is in force as it is now.
    Accepted(Accepted),
}

/// An Ingress that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The Ingress.
    pub name: ObjectName,
    /// For how many hosts it has rules; every host counts as one.
    pub hosts: usize,
}
