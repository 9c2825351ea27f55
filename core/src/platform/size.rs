//! How much a process gets.

use crate::quantity::Quantity;

/// A size by name. Requests equal limits: what the quota counts is what the process can use.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// The name by which apps ask for it.
    pub name: String,
    /// CPU of one instance.
    pub cpu: Quantity,
    /// Memory of one instance.
    pub memory: Quantity,
}
