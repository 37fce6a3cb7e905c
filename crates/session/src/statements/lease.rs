//! Owns what was asked of a server connection since it was lent: what it may leave behind for the
//! next client.

use super::Reading;
use buf::Secret;
use sql::{Effects, Lexing};

/// What one client's use of a server connection may have left there. Begun anew by
/// [`crate::ClientStream::link`].
#[derive(Debug, Default)]
pub struct Lease {
    /// Of all that was executed, as far as texts show it.
    pub effects: Effects,
    /// Something was executed that could not be read to its end.
    pub unknown: bool,
    /// Statements were prepared under the client's own names (`max_prepared_statements = 0`): they
    /// are on this server connection alone.
    pub named: bool,
    /// Texts may mean something else by now than the client's dialect says.
    pub(crate) meddled: bool,
    /// The same of where tokens end: no longer once the server has said how that stands.
    pub(crate) lexing_meddled: bool,
    /// The last batch in which code was called that nobody here can see.
    called: Option<u32>,
    touched: Vec<Touch>,
    touched_bytes: usize,
}

/// A text that sets parameters, as it was executed.
#[derive(Debug)]
pub struct Touch {
    /// The text, without its NUL.
    pub text: Secret,
    /// How it was read.
    pub lexing: Lexing,
    /// What it does.
    pub effects: Effects,
}

/// What sets parameters, or takes settings back.
const TOUCHES: [Effects; 5] = [
    Effects::SET,
    Effects::SET_LOCAL,
    Effects::SET_CONFIG,
    Effects::ROLE,
    Effects::DISCARD,
];

/// Code out of sight.
const CALLS: [Effects; 2] = [Effects::CALLS, Effects::CODE];

fn any(effects: Effects, of: &[Effects]) -> bool {
    of.iter().any(|it| effects.has(*it))
}

impl Lease {
    /// Texts kept until they are taken; more make the lease unknown.
    pub const TOUCHED_MAX: usize = 64;
    /// Their bytes.
    pub const TOUCHED_BYTES_MAX: usize = 16 * 1024;

    /// Notes what is executed in a batch.
    #[inline]
    pub(crate) fn note(&mut self, reading: &Reading, text: &[u8], lexing: Lexing, batch: u32) {
        // Nothing at all, most of the time.
        if *reading != Reading::NOTHING {
            self.noted(reading, text, lexing, batch);
        }
    }

    fn noted(&mut self, reading: &Reading, text: &[u8], lexing: Lexing, batch: u32) {
        self.meddled |= reading.meddles;
        self.lexing_meddled |= reading.meddles;
        let Some(effects) = reading.effects else {
            self.unknown = true;
            self.called = Some(batch);
            return;
        };
        self.effects |= effects;
        if any(effects, &CALLS) {
            self.called = Some(batch);
        }
        let divides = effects.has(Effects::TRANSACTION) && any(self.effects, &TOUCHES);
        if divides || any(effects, &TOUCHES) {
            self.touch(effects, text, lexing);
        }
    }

    /// Notes a function called by its oid.
    pub(crate) fn note_call(&mut self, batch: u32) {
        self.effects |= Effects::CALLS;
        self.called = Some(batch);
    }

    #[cold]
    fn touch(&mut self, effects: Effects, text: &[u8], lexing: Lexing) {
        let bytes = self.touched_bytes + text.len();
        if self.touched.len() >= Self::TOUCHED_MAX || bytes > Self::TOUCHED_BYTES_MAX {
            self.unknown = true;
            return;
        }
        self.touched_bytes = bytes;
        self.touched.push(Touch {
            text: Secret::new(text),
            lexing,
            effects,
        });
    }

    /// Takes the texts that set parameters, and those behind the first such that begin, divide or end
    /// a transaction, oldest first.
    pub fn take_touched(&mut self) -> Vec<Touch> {
        self.touched_bytes = 0;
        std::mem::take(&mut self.touched)
    }

    /// True if a text sets or resets parameters beyond its transaction.
    pub fn sets(&self) -> bool {
        const SETS: [Effects; 3] = [Effects::SET, Effects::SET_CONFIG, Effects::DISCARD];
        any(self.effects, &SETS)
    }

    /// True if texts may be read otherwise now than the client's dialect says: a setting that counts was
    /// changed, or code ran that may have changed one, in this batch or in one whose end, which would
    /// have told so, hasn't come yet.
    #[inline]
    pub(crate) fn lexes_otherwise(&self, batch: u32, is_one_batch: impl FnOnce() -> bool) -> bool {
        self.lexing_meddled || self.has_called(batch, is_one_batch)
    }

    /// True if texts may be read otherwise, for that or for other settings.
    #[inline]
    pub(crate) fn reads_otherwise(&self, batch: u32, is_one_batch: impl FnOnce() -> bool) -> bool {
        self.meddled || self.has_called(batch, is_one_batch)
    }

    #[inline]
    fn has_called(&self, batch: u32, is_one_batch: impl FnOnce() -> bool) -> bool {
        match self.called {
            None => false,
            Some(called) => called == batch || !is_one_batch(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(lease: &mut Lease, text: &str) {
        let lexing = Lexing::default();
        lease.note(
            &Reading::of(text.as_bytes(), lexing),
            text.as_bytes(),
            lexing,
            7,
        );
    }

    #[test]
    fn texts_that_set_something_are_kept_and_bounded() {
        let mut lease = Lease::default();
        for text in ["BEGIN", "INSERT INTO t VALUES (1)", "SELECT 1"] {
            note(&mut lease, text);
        }
        assert!(lease.take_touched().is_empty());
        note(&mut lease, "SET a = 1");
        note(&mut lease, "COMMIT");
        let touched = lease.take_touched();
        let texts: Vec<_> = touched.iter().map(|it| it.text.expose()).collect();
        assert_eq!(texts, [&b"SET a = 1"[..], b"COMMIT"]);
        assert!(!lease.unknown);
        let long = format!("SET a = {}", "1".repeat(Lease::TOUCHED_BYTES_MAX - 8));
        note(&mut lease, &long);
        assert!(!lease.unknown);
        note(&mut lease, "SET a = 1");
        assert!(lease.unknown);
        let mut lease = Lease::default();
        for _ in 0..Lease::TOUCHED_MAX {
            note(&mut lease, "RESET a");
        }
        assert!(!lease.unknown);
        note(&mut lease, "RESET a");
        assert!(lease.unknown);
    }

    #[test]
    fn when_texts_may_be_read_otherwise() {
        // (text, in the same batch, in a later one while it is owed something, once it isn't)
        for (text, same, later, settled) in [
            ("SELECT 1", false, false, false),
            ("SET work_mem = 1", false, false, false),
            ("SET DateStyle = 'DMY'", true, true, true),
            ("SELECT f()", true, true, false),
            ("DO $$ $$", true, true, false),
            ("SELECT '", true, true, true),
        ] {
            let mut lease = Lease::default();
            note(&mut lease, text);
            assert_eq!(lease.reads_otherwise(7, || true), same, "{text}");
            assert_eq!(lease.reads_otherwise(8, || false), later, "{text}");
            assert_eq!(lease.reads_otherwise(8, || true), settled, "{text}");
        }
    }
}
