use fairway_model::ObjectName;

use crate::Problem;

/// Something about an object that its owner should know, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// What it asks for and does not get.
    Problem(Problem),
    /// A problem that was told is over. Only of those that often end by themselves, see
    /// [`Reason::may_pass`](crate::Reason::may_pass).
    Over(Problem),
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
