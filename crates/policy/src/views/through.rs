//! Owns what of a database's dependencies matters to a list of rules.
//!
//! What is done to a relation is done to where it leads: whoever reads a view reads what its query reads, through
//! views of views; whoever writes to one may write to any of these. A query on a partitioned table or parent is one on
//! its partitions and children, and one on a child is one on a part of its parents, but none on its siblings. Whoever
//! defines a view anew, renames or drops it could do anything to what it leads to, or take it out of sight: so that
//! counts as any access.

use super::dependencies::{Dependencies, Leads, Name};
use crate::rule::{Action, NamePattern, Rules};
use sql::Access;
use std::collections::HashMap;

/// Some of read, write and ddl.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Accesses(u8);

impl Accesses {
    const NONE: Accesses = Accesses(0);
    const ALL: Accesses = Accesses(7);

    fn of(access: Access) -> Accesses {
        Accesses(match access {
            Access::Read => 1,
            Access::Write => 2,
            Access::Ddl => 4,
        })
    }

    fn and(self, other: Accesses) -> Accesses {
        Accesses(self.0 | other.0)
    }

    fn meets(self, other: Accesses) -> bool {
        self.0 & other.0 != 0
    }
}

/// For each relation that leads to one which a rule names: which rules, and what has to be done to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Through {
    names: HashMap<Box<[u8]>, Vec<Leading>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Leading {
    schema: Box<[u8]>,
    rules: Vec<(usize, Accesses)>,
}

impl Through {
    /// What matters to these rules. Permissions are on names alone: they see nothing through a view.
    pub fn new(rules: &Rules, graph: &Dependencies) -> Through {
        let mut names: HashMap<Box<[u8]>, Vec<Leading>> = HashMap::new();
        for (index, rule) in rules.rules().iter().enumerate() {
            let wanted = &rule.statement;
            if rule.action == Action::Allow || wanted.relations.is_empty() {
                continue;
            }
            let accesses = match wanted.access.as_slice() {
                [] => Accesses::ALL,
                named => (named.iter()).fold(Accesses::NONE, |all, it| all.and(Accesses::of(*it))),
            };
            let found = reach(graph, &wanted.relations, accesses);
            for ((schema, name), accesses) in graph.relations.iter().zip(found) {
                if accesses == Accesses::NONE {
                    continue;
                }
                let leading = names.entry(name.clone()).or_default();
                match leading.iter_mut().find(|it| it.schema == *schema) {
                    Some(known) => known.rules.push((index, accesses)),
                    None => leading.push(Leading {
                        schema: schema.clone(),
                        rules: vec![(index, accesses)],
                    }),
                }
            }
        }
        Through { names }
    }

    /// True if no relation leads to one that a rule names.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The rules that are meant where this is done to a relation of this name, whose schema may not be known.
    pub(crate) fn rules<'a>(
        &'a self,
        (schema, name): (Option<&'a [u8]>, &[u8]),
        access: Access,
    ) -> impl Iterator<Item = usize> + 'a {
        let access = Accesses::of(access);
        let all = self.names.get(name).map(Vec::as_slice).unwrap_or_default();
        let is_meant = move |it: &&Leading| schema.is_none_or(|schema| is(schema, &it.schema));
        let rules = all.iter().filter(is_meant).flat_map(|it| &it.rules);
        rules
            .filter(move |(_, accesses)| accesses.meets(access))
            .map(|(index, _)| *index)
    }
}

/// Whether a schema that was written is one of the catalogs: each session has its own by the name of `pg_temp`.
fn is(written: &[u8], schema: &[u8]) -> bool {
    written == schema || (written == b"pg_temp" && schema.starts_with(b"pg_temp_"))
}

/// For each relation what has to be done to it, so that something wanted is done to one that is named.
fn reach(graph: &Dependencies, patterns: &[NamePattern], wanted: Accesses) -> Vec<Accesses> {
    let named = |(schema, name): &Name| {
        let fits = |part: &Option<Vec<u8>>, is: &[u8]| part.as_ref().is_none_or(|it| it == is);
        let one = |it: &NamePattern| fits(&it.schema, schema) && fits(&it.name, name);
        patterns.iter().any(one)
    };
    let mut found: Vec<Accesses> = graph
        .relations
        .iter()
        .map(|it| match named(it) {
            true => wanted,
            false => Accesses::NONE,
        })
        .collect();
    // From what is named back to where statements begin: its children, then all parents of these, then views.
    let is_child = |leads| leads == Leads::Child;
    spread(graph, &mut found, |&(parent, child, leads)| {
        is_child(leads).then_some((parent, child, same as Step))
    });
    spread(graph, &mut found, |&(parent, child, leads)| {
        is_child(leads).then_some((child, parent, same as Step))
    });
    spread(graph, &mut found, |&(from, to, leads)| {
        (!is_child(leads)).then_some((to, from, step(leads)))
    });
    found
}

/// What has to be done here, so that this is done there.
type Step = fn(Accesses) -> Accesses;

fn same(there: Accesses) -> Accesses {
    there
}

fn step(leads: Leads) -> Step {
    const READ: Accesses = Accesses(1);
    const WRITE: Accesses = Accesses(2);
    const DDL: Accesses = Accesses(4);
    match leads {
        // A write reads as well, and may be one to any of them.
        Leads::View => |there| match (there.meets(READ), there.meets(WRITE)) {
            (true, _) => Accesses::ALL,
            (false, true) => WRITE.and(DDL),
            (false, false) => Accesses::NONE,
        },
        // To fill it is to read, and it can't be written.
        Leads::Materialized => |there| match there.meets(READ) {
            true => Accesses::ALL,
            false => Accesses::NONE,
        },
        Leads::Rewrite => |there| match there.meets(READ.and(WRITE)) {
            true => WRITE.and(DDL),
            false => Accesses::NONE,
        },
        Leads::Child => same,
    }
}

/// Carries what was found along edges, each as `(from, to, step)`, until there is no more to carry.
fn spread(
    graph: &Dependencies,
    found: &mut [Accesses],
    along: impl Fn(&(u32, u32, Leads)) -> Option<(u32, u32, Step)>,
) {
    let mut steps: Vec<_> = graph.edges.iter().filter_map(along).collect();
    steps.sort_unstable_by_key(|it| it.0);
    let mut due: Vec<u32> = (0..found.len() as u32)
        .filter(|it| found[*it as usize] != Accesses::NONE)
        .collect();
    while let Some(at) = due.pop() {
        let first = steps.partition_point(|it| it.0 < at);
        let own = steps[first..].iter().take_while(|it| it.0 == at);
        for &(_, to, step) in own {
            let before = found[to as usize];
            let after = before.and(step(found[at as usize]));
            if after != before {
                found[to as usize] = after;
                due.push(to);
            }
        }
    }
}
