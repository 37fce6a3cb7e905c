//! Owns what is known of relations that lead to others: views, materialized views, rules of the server (CREATE RULE),
//! partitions and children.
//!
//! [`Dependencies`] are what a server's catalogs say, within bounds. [`Through`] is what of it matters to a list of
//! rules: for each relation that leads to one that a rule names, the rules that are meant, too. [`Views`] is what all
//! sessions of a database share: the latest look at the catalogs, and which names may mean something else by now.

mod dependencies;
mod shared;
mod through;

pub use dependencies::{Dependencies, Dependency, Leads, TooMany};
pub use shared::{Change, Doubted, NAMES_MAX, Seen, Views};
pub use through::Through;

use std::sync::Arc;

/// What rules on relations see beyond names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sight {
    /// Nothing: a relation is what its name says.
    #[default]
    Names,
    /// What leads to relations that rules name.
    Through(Arc<Through>),
    /// Any relation may lead to any other.
    Blind,
}
