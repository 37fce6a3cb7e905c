//! Owns what becomes true with the answer to a request: a name that a client has, a statement that
//! a server holds.

use super::names::Names;
use super::{Id, Name, Refusal, Statement};
use crate::inspect::Types;
use std::sync::Arc;

/// A client's unnamed statement.
#[derive(Debug, Clone, Default)]
pub(crate) enum Unnamed {
    /// There is none.
    #[default]
    None,
    /// This one. With a name on servers it is there as a named one.
    Kept(Arc<Statement>),
    /// One too long to be kept: only the server that parsed it has it.
    Unkept,
}

/// How an unnamed Parse was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As it came.
    Plain,
    /// Under the statement's name on servers.
    Renamed,
    /// Not at all: the server has it under that name.
    Said,
}

/// What becomes true when a request succeeds.
#[derive(Debug)]
pub(crate) enum Promise {
    /// The client has a statement of this name; if it was sent, the server has it too.
    Named {
        name: Name,
        statement: Arc<Statement>,
        sent: bool,
    },
    /// The client's unnamed statement is this one. If the Parse fails, it has none.
    Unnamed { unnamed: Unnamed, way: Way },
    /// The client has no statement of this name any more.
    Unlearned(Name),
    /// The client has no unnamed statement any more.
    UnlearnedUnnamed,
    /// The server has this statement.
    Prepared(Id),
    /// The server has it no longer.
    Closed(Id),
    /// The server's unnamed statement is the client's.
    SlotFilled,
    /// The server has no unnamed statement.
    SlotCleared,
    /// A Query: client and server have no unnamed statement any more, whether it fails or not. If
    /// `all`, all statements may be gone, which the command's tag tells.
    Queried { all: bool },
    /// An Execute behind which all statements may be gone.
    Executed,
    /// An Execute that forgets the client's statement of this name, and the one that is there to exist.
    Dropped(Name),
    /// A Query that forgets the client's statement of this name.
    Deallocated(Name),
    /// The types of a statement's parameters are told before it is kept, for whoever writes values down.
    Described(Arc<Types>),
    /// A request that fails in the place of one that is refused.
    Refused { refusal: Refusal, instead: Instead },
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    /// A Query, which takes the unnamed statement with it.
    Query,
    /// A Parse of the unnamed statement, which takes the former one with it.
    UnnamedParse,
    /// A Parse of a named one.
    NamedParse,
}

/// What became of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Result {
    Kept,
    Failed,
    Skipped,
}

/// What a client has, as far as servers have confirmed it.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    pub names: Names,
    pub unnamed: Unnamed,
}

impl Promise {
    /// True if it decides what this name stands for.
    pub fn is_about_name(&self, wanted: &[u8]) -> bool {
        match self {
            Promise::Named { name, .. }
            | Promise::Unlearned(name)
            | Promise::Dropped(name)
            | Promise::Deallocated(name) => name.bytes() == wanted,
            Promise::Queried { all } => *all,
            Promise::Executed => true,
            _ => false,
        }
    }

    /// The client's statement that it is about, if that is kept.
    pub fn statement(&self) -> Option<&Arc<Statement>> {
        match self {
            Promise::Named { statement, .. }
            | Promise::Unnamed {
                unnamed: Unnamed::Kept(statement),
                ..
            } => Some(statement),
            _ => None,
        }
    }

    /// True if it decides what the client's unnamed statement is.
    pub fn is_about_unnamed(&self) -> bool {
        matches!(
            self,
            Promise::Unnamed { .. }
                | Promise::UnlearnedUnnamed
                | Promise::Queried { .. }
                | Promise::Deallocated(_)
                | Promise::Refused {
                    instead: Instead::Query | Instead::UnnamedParse,
                    ..
                }
        )
    }

    /// The statement that the server has once it is kept.
    pub fn prepared(&self) -> Option<Id> {
        match self {
            Promise::Named {
                statement,
                sent: true,
                ..
            }
            | Promise::Unnamed {
                unnamed: Unnamed::Kept(statement),
                way: Way::Renamed,
            } => statement.id().map(|(id, _)| id),
            Promise::Prepared(id) => Some(*id),
            _ => None,
        }
    }

    /// The statement that the server has no longer once it is kept.
    pub fn closed(&self) -> Option<Id> {
        match self {
            Promise::Closed(id) => Some(*id),
            Promise::Dropped(_) => Some(Id::FIXTURE),
            _ => None,
        }
    }

    /// Whether the server has this statement once the promise is kept; `None` if it is about
    /// something else.
    pub fn prepares(&self, wanted: Id) -> Option<bool> {
        match self.closed() {
            Some(id) => (id == wanted).then_some(false),
            None => (self.prepared() == Some(wanted)).then_some(true),
        }
    }

    /// How many statements more the server has once it is kept.
    pub fn adds(&self) -> isize {
        match self.closed() {
            Some(_) => -1,
            None => isize::from(self.prepared().is_some()),
        }
    }

    /// True if all statements may be gone behind it.
    pub fn forgets_all(&self) -> bool {
        matches!(self, Promise::Queried { all: true } | Promise::Executed)
    }
}
