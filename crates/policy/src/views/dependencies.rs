//! Owns what a server's catalogs say of relations that lead to others.

use std::collections::HashMap;

/// How a relation leads to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leads {
    /// A view, to what its query reads.
    View,
    /// A materialized view, likewise.
    Materialized,
    /// By a rule of the server on INSERT, UPDATE or DELETE, to what that reads and writes.
    Rewrite,
    /// From a partitioned table or a parent, to a partition or a child.
    Child,
}

/// One relation that leads to another, each by schema and name as the catalogs have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// How.
    pub leads: Leads,
    /// Which.
    pub from: (Vec<u8>, Vec<u8>),
    /// Where to.
    pub to: (Vec<u8>, Vec<u8>),
}

/// There are more than [`Dependencies::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the catalogs have more than {} dependencies of relations",
    Dependencies::MAX
)]
pub struct TooMany;

/// Schema and name of a relation.
pub(super) type Name = (Box<[u8]>, Box<[u8]>);

/// All of a database, as a graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Schema and name.
    pub(super) relations: Vec<Name>,
    /// Indices of relations.
    pub(super) edges: Vec<(u32, u32, Leads)>,
}

impl Dependencies {
    /// More of them are refused.
    pub const MAX: usize = 100_000;

    /// Those that were found, in any order.
    pub fn new(found: impl IntoIterator<Item = Dependency>) -> Result<Dependencies, TooMany> {
        let mut found: Vec<_> = found.into_iter().take(Dependencies::MAX + 1).collect();
        if found.len() > Dependencies::MAX {
            return Err(TooMany);
        }
        // Equal catalogs are to make equal graphs.
        found.sort_by(|one, other| {
            (&one.from, &one.to, one.leads).cmp(&(&other.from, &other.to, other.leads))
        });
        found.dedup();
        let mut numbers = HashMap::new();
        let mut graph = Dependencies::default();
        for Dependency { leads, from, to } in found {
            let mut number = |(schema, name): (Vec<u8>, Vec<u8>)| {
                *numbers
                    .entry((schema, name))
                    .or_insert_with_key(|(schema, name)| {
                        let (schema, name) = (schema.as_slice().into(), name.as_slice().into());
                        graph.relations.push((schema, name));
                        graph.relations.len() as u32 - 1
                    })
            };
            let edge = (number(from), number(to), leads);
            graph.edges.push(edge);
        }
        Ok(graph)
    }

    /// How many relations lead to others as views do.
    pub fn views(&self) -> usize {
        let is_view = |it: &&(u32, u32, Leads)| it.2 <= Leads::Materialized;
        let mut views: Vec<u32> = self.edges.iter().filter(is_view).map(|it| it.0).collect();
        views.sort_unstable();
        views.dedup();
        views.len()
    }

    /// How many dependencies there are.
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// True if no relation leads to another.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }
}
