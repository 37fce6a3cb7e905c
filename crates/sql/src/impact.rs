//! Owns the closed vocabulary in which rules speak of what a statement does to the database.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// What a statement does, as a set. [`crate::Effects`] is what it leaves in its *session*; this is what it
/// does at all.
///
/// A flag may be set for a statement that does less (`CREATE RULE … DO DELETE …` deletes nothing yet and
/// has `WRITE`). One that does it has its flag, or [`crate::Facts::unsure`] says why nobody can tell.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Impact(u16);

macro_rules! impact {
    ($($(#[doc = $text:literal])+ $name:ident = $bit:literal, $word:literal;)+) => {
        impl Impact {
            $($(#[doc = $text])+ pub const $name: Self = Self(1 << $bit);)+
            /// All flags with the words that configuration and logs have for them.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $word),)+];
        }
    };
}

impact! {
    /// Gives rows or values: SELECT, VALUES, TABLE, COPY TO, FETCH, SHOW, EXPLAIN.
    READ = 0, "read";
    /// Changes rows, or locks them or a table against others: INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM,
    /// SELECT INTO, CREATE TABLE AS, FOR UPDATE, LOCK, REFRESH, VACUUM, `nextval`, `setval`.
    WRITE = 1, "write";
    /// Changes definitions.
    DDL = 2, "ddl";
    /// Changes or uses the session: SET, RESET, DISCARD, LISTEN, NOTIFY, PREPARE, DEALLOCATE, cursors,
    /// `set_config`, advisory locks, temporary objects.
    SESSION = 3, "session";
    /// Begins, ends or divides a transaction.
    TRANSACTION = 4, "transaction";
    /// Changes who may do what, or who the session is: GRANT, REVOKE, roles, policies, default privileges, owners,
    /// user mappings, SET ROLE, SET SESSION AUTHORIZATION, ALTER SYSTEM, `set_config`,
    /// which may set the role.
    PRIVILEGE = 5, "privilege";
    /// Calls a function that isn't known to do nothing but compute: it may do anything.
    CALLS = 6, "calls";
    /// Reaches beyond the database: files and programs of the server (COPY FROM and TO those), LOAD.
    OUTSIDE = 7, "outside";
}

impl Impact {
    /// None at all.
    pub const NONE: Self = Self(0);

    /// Whether any of `other` is in this set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing but `other` is in this set.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The flag that configuration calls so.
    pub fn named(word: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, name)| *name == word)?;
        Some(found.0)
    }
}

impl BitOr for Impact {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Impact {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Impact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::ALL.iter().filter(|(flag, _)| self.has(*flag));
        out.debug_set()
            .entries(names.map(|(_, name)| name))
            .finish()
    }
}
