//! Owns what a statement may leave behind, as a set.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// What a statement does, or may do, beyond giving rows.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects(u32);

macro_rules! effects {
    ($($(#[doc = $text:literal])+ $name:ident = $bit:literal;)+) => {
        impl Effects {
            $($(#[doc = $text])+ pub const $name: Self = Self(1 << $bit);)+
            const NAMES: &'static [(Self, &'static str)] = &[$((Self::$name, stringify!($name)),)+];
        }
    };
}

effects! {
    /// Begins, ends or divides a transaction.
    TRANSACTION = 0;
    /// Sets a parameter beyond the transaction: SET, RESET.
    SET = 1;
    /// Sets a parameter until the end of the transaction.
    SET_LOCAL = 2;
    /// Changes the role: SET ROLE, SET SESSION AUTHORIZATION, and their RESET. RESET ALL doesn't undo it.
    ROLE = 3;
    /// LISTEN.
    LISTEN = 4;
    /// UNLISTEN.
    UNLISTEN = 5;
    /// PREPARE of SQL: a name that only this server connection knows.
    PREPARE = 6;
    /// EXECUTE of SQL: needs a server connection that knows the name.
    EXECUTE = 7;
    /// DEALLOCATE of one name.
    DEALLOCATE = 8;
    /// All prepared statements are gone: DEALLOCATE ALL, DISCARD ALL.
    DEALLOCATE_ALL = 9;
    /// A cursor that outlives its transaction.
    HOLD = 10;
    /// Makes, or may make, a temporary object.
    TEMPORARY = 11;
    /// LOAD: a library that only closing the connection removes.
    LOAD = 12;
    /// Takes a session's advisory lock.
    ADVISORY_LOCK = 13;
    /// Reads or sets what `currval` and `lastval` know.
    SEQUENCE = 14;
    /// Calls a function that isn't known to leave nothing behind.
    CALLS = 15;
    /// Runs code that isn't in sight: DO, CALL, CREATE and ALTER EXTENSION.
    CODE = 16;
    /// DISCARD of any kind.
    DISCARD = 17;
    /// Changes data.
    WRITES = 18;
    /// Changes definitions.
    DEFINES = 19;
    /// Copies towards the server or from it over the connection.
    COPY = 20;
    /// Needs a cursor of this session: FETCH, MOVE, CLOSE, WHERE CURRENT OF.
    CURSOR = 21;
    /// Calls `set_config`: sets some parameter, perhaps the role, perhaps until the transaction ends.
    SET_CONFIG = 22;
}

impl Effects {
    /// None at all.
    pub const NONE: Self = Self(0);

    /// What is of no concern to the next client: what ends with the transaction, and what lies in the
    /// database and not in the session.
    const PASSING: Self = Self(
        Self::TRANSACTION.0
            | Self::SET_LOCAL.0
            | Self::WRITES.0
            | Self::DEFINES.0
            | Self::COPY.0
            | Self::CURSOR.0,
    );

    /// Whether any of `other` is in this set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the session is, for all that can be seen, as it was before once its transaction has ended.
    pub fn is_clean(self) -> bool {
        self.0 & !Self::PASSING.0 == 0
    }

    /// Whether something is left that only this server connection holds and that can't be carried to
    /// another by setting it there: it must stay with its client, or the client must lose it.
    pub fn pins(self) -> bool {
        self.has(Self::LISTEN | Self::PREPARE | Self::HOLD | Self::TEMPORARY)
            || self.has(Self::LOAD | Self::ADVISORY_LOCK | Self::ROLE)
    }
}

impl BitOr for Effects {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Effects {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(effect, _)| self.has(*effect));
        out.debug_set()
            .entries(names.map(|(_, name)| name))
            .finish()
    }
}
