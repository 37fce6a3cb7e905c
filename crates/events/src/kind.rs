//! Owns the kinds of events: each stands here once, with its word, its weight and its meaning.

use crate::event::Phase;

/// How much a kind of event matters where it begins; that something is over never matters more than a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Worth knowing.
    Note,
    /// Worth knowing where it just happened; where it began, somebody should look.
    Trouble,
    /// Somebody should look.
    Warning,
}

macro_rules! kinds {
    ( $( $(#[doc = $meaning:literal])+ $kind:ident = $word:literal, $weight:ident; )+ ) => {
        /// What an event is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $( $(#[doc = $meaning])+ $kind, )+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Kind] = &[ $( Kind::$kind, )+ ];

            /// Its word, as in settings, logs and JSON.
            pub fn word(self) -> &'static str {
                match self { $( Kind::$kind => $word, )+ }
            }

            /// How much it matters.
            pub fn weight(self) -> Weight {
                match self { $( Kind::$kind => Weight::$weight, )+ }
            }

            /// One sentence about it.
            pub fn meaning(self) -> &'static str {
                match self { $( Kind::$kind => concat!($($meaning),+).trim_ascii_start(), )+ }
            }
        }
    };
}

kinds! {
    /// A pattern of statements that was not seen before.
    NewPattern = "new_pattern", Note;
    /// A pattern of statements takes much longer than it did.
    Slower = "slower", Warning;
    /// Statements of a pattern end with errors much more often than they did.
    ErrorBurst = "error_burst", Warning;
    /// A pattern of statements comes much more often than it did.
    Volume = "volume", Warning;
    /// Changes of statements that were not told one by one, because there were too many.
    Suppressed = "suppressed", Warning;
    /// A cluster has another primary, or none.
    Leader = "leader", Warning;
    /// A host of a cluster came, went, is up or down, or is something else than before.
    Host = "host", Trouble;
    /// A planned switchover began, succeeded or failed.
    Switchover = "switchover", Note;
    /// What views depend on can't be read in a database, so that rules go by what was known before, or by names.
    Views = "views", Trouble;
}

impl Kind {
    /// True if somebody should look, where it stands so in its course.
    pub fn is_warning(self, phase: Phase) -> bool {
        match (self.weight(), phase) {
            (_, Phase::Ended) | (Weight::Note, _) => false,
            (Weight::Trouble, phase) => phase == Phase::Began,
            (Weight::Warning, _) => true,
        }
    }
}

/// Some kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u64);

impl Kinds {
    /// All of them.
    pub const ALL: Kinds = Kinds(u64::MAX);

    /// Whether this one is among them.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Kinds {
        Kinds(kinds.into_iter().fold(0, |all, kind| all | bit(kind)))
    }
}

fn bit(kind: Kind) -> u64 {
    1 << (kind as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_a_word_of_its_own_and_a_meaning() {
        let words: HashSet<_> = Kind::ALL.iter().map(|it| it.word()).collect();
        assert_eq!(words.len(), Kind::ALL.len());
        assert!(Kind::ALL.len() <= 64, "a set of them has 64 places");
        assert!(Kind::ALL.iter().all(|it| it.meaning().ends_with('.')));
    }

    #[test]
    fn what_is_over_is_no_warning() {
        use Phase::{Began, Ended, Happened};
        for (kind, warns) in [
            (Kind::NewPattern, [false, false, false]),
            (Kind::Host, [false, true, false]),
            (Kind::Leader, [true, true, false]),
        ] {
            let found = [Happened, Began, Ended].map(|phase| kind.is_warning(phase));
            assert_eq!(found, warns, "{kind:?}");
        }
    }

    #[test]
    fn a_set_has_what_it_was_made_of() {
        for kind in Kind::ALL {
            let one: Kinds = [*kind].into_iter().collect();
            let found: Vec<_> = Kind::ALL.iter().filter(|it| one.has(**it)).collect();
            assert_eq!(found, [kind]);
            assert!(Kinds::ALL.has(*kind) && !Kinds::default().has(*kind));
        }
    }
}
