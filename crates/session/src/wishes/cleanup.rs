//! Owns what has to be taken back, beyond parameters that are known, before a server connection goes to
//! another client.

use sql::Effects;
use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of things to take back. All of them together are what DISCARD ALL does (manual, "DISCARD").
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleanup(u16);

impl Cleanup {
    /// Nothing: only parameters differ.
    pub const NONE: Self = Self(0);
    /// The role: SET SESSION AUTHORIZATION DEFAULT, RESET ROLE.
    pub const ROLE: Self = Self(1);
    /// All parameters, whatever they are: RESET ALL.
    pub const SETTINGS: Self = Self(1 << 1);
    /// LISTEN: UNLISTEN *.
    pub const CHANNELS: Self = Self(1 << 2);
    /// Cursors WITH HOLD: CLOSE ALL.
    pub const CURSORS: Self = Self(1 << 3);
    /// A session's advisory locks.
    pub const LOCKS: Self = Self(1 << 4);
    /// What `currval` and `lastval` know: DISCARD SEQUENCES.
    pub const SEQUENCES: Self = Self(1 << 5);
    /// Temporary objects: DISCARD TEMP.
    pub const TEMPORARY: Self = Self(1 << 6);
    /// Prepared statements, those of the protocol as well: DEALLOCATE ALL. Whoever keeps a map of them has
    /// to clear it.
    pub const STATEMENTS: Self = Self(1 << 7);
    /// Cached plans: DISCARD PLANS.
    pub const PLANS: Self = Self(1 << 8);
    /// As after DISCARD ALL, which itself can't be used in front of another request: it puts
    /// `exit_on_error` back before it is done.
    pub const ALL: Self = Self((1 << 9) - 1);
    /// What code that isn't in sight may have left, prepared statements aside: clearing the map after every
    /// call would cost more than a function is worth that runs PREPARE as text. Whoever has such
    /// functions needs [`Cleanup::ALL`].
    pub const CODE: Self = Self(Self::ALL.0 & !Self::STATEMENTS.0 & !Self::PLANS.0);

    /// What statements of these effects make necessary; nothing where only closing the connection helps.
    ///
    /// SET and `set_config` ask for all parameters. Whoever knows from the server what stands there
    /// (see [`super::Question`]) can leave [`Cleanup::SETTINGS`] out.
    pub fn after(effects: Effects) -> Option<Self> {
        const TABLE: [(Effects, Cleanup); 12] = [
            (Effects::SET, Cleanup::SETTINGS),
            (Effects::SET_CONFIG, Cleanup::SETTINGS),
            (Effects::ROLE, Cleanup::ROLE),
            (Effects::LISTEN, Cleanup::CHANNELS),
            (Effects::PREPARE, Cleanup::STATEMENTS),
            (Effects::HOLD, Cleanup::CURSORS),
            (Effects::TEMPORARY, Cleanup::TEMPORARY),
            (Effects::ADVISORY_LOCK, Cleanup::LOCKS),
            (Effects::SEQUENCE, Cleanup::SEQUENCES),
            (Effects::CALLS, Cleanup::CODE),
            (Effects::CODE, Cleanup::CODE),
            (Effects::EXECUTE, Cleanup::CODE),
        ];
        if effects.has(Effects::LOAD) {
            return None;
        }
        let mut all = Self::NONE;
        for (effect, cleanup) in TABLE {
            if effects.has(effect) {
                all |= cleanup;
            }
        }
        Some(all)
    }

    /// This set, but for `other`.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether any of `other` is in this set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Cleanup {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Cleanup {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Cleanup {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Cleanup, &str); 9] = [
            (Cleanup::ROLE, "ROLE"),
            (Cleanup::SETTINGS, "SETTINGS"),
            (Cleanup::CHANNELS, "CHANNELS"),
            (Cleanup::CURSORS, "CURSORS"),
            (Cleanup::LOCKS, "LOCKS"),
            (Cleanup::SEQUENCES, "SEQUENCES"),
            (Cleanup::TEMPORARY, "TEMPORARY"),
            (Cleanup::STATEMENTS, "STATEMENTS"),
            (Cleanup::PLANS, "PLANS"),
        ];
        let names = NAMES.iter().filter(|(part, _)| self.has(*part));
        out.debug_set()
            .entries(names.map(|(_, name)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_effect_has_its_remedy() {
        let after = |text: &str| {
            let effects = sql::effects(text.as_bytes(), sql::Lexing::default());
            Cleanup::after(effects.unwrap())
        };
        for (text, wanted) in [
            ("SELECT lower('x')", Some(Cleanup::NONE)),
            (
                "BEGIN; UPDATE t SET a = 1; SET LOCAL work_mem = 1; COMMIT",
                Some(Cleanup::NONE),
            ),
            (
                "SET work_mem = 1; LISTEN c",
                Some(Cleanup::SETTINGS | Cleanup::CHANNELS),
            ),
            ("SET ROLE r", Some(Cleanup::SETTINGS | Cleanup::ROLE)),
            ("SELECT nextval('s')", Some(Cleanup::SEQUENCES)),
            ("SELECT f()", Some(Cleanup::CODE)),
            ("DO $$ $$", Some(Cleanup::CODE)),
            ("LOAD 'x'", None),
        ] {
            assert_eq!(after(text), wanted, "{text}");
        }
        assert!(!Cleanup::CODE.has(Cleanup::STATEMENTS) && Cleanup::ALL.has(Cleanup::PLANS));
    }
}
