//! Owns what was asked of a server connection since it was lent: what it may leave behind for the
//! next client.

use super::Dialect;
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

/// What may change how the server reads a text from then on.
const CHANGES_READING: [Effects; 9] = [
    Effects::SET,
    Effects::SET_LOCAL,
    Effects::SET_CONFIG,
    Effects::ROLE,
    Effects::DISCARD,
    Effects::CALLS,
    Effects::CODE,
    Effects::TEMPORARY,
    Effects::DEFINES,
];

fn any(effects: Effects, of: &[Effects]) -> bool {
    of.iter().any(|it| effects.has(*it))
}

impl Lease {
    /// Texts kept until they are taken; more make the lease unknown.
    pub const TOUCHED_MAX: usize = 64;
    /// Their bytes.
    pub const TOUCHED_BYTES_MAX: usize = 16 * 1024;

    /// Notes what is executed.
    #[inline]
    pub(crate) fn note(&mut self, effects: Option<Effects>, text: &[u8], dialect: Dialect) {
        let Some(effects) = effects else {
            self.unknown = true;
            return;
        };
        // Nothing at all, most of the time.
        if effects != Effects::NONE {
            self.effects |= effects;
            let divides = effects.has(Effects::TRANSACTION) && any(self.effects, &TOUCHES);
            if divides || any(effects, &TOUCHES) {
                self.touch(effects, text, dialect.lexing);
            }
        }
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

    /// True if texts may by now be read otherwise than the client's dialect says.
    pub(crate) fn reads_otherwise(&self) -> bool {
        self.unknown || any(self.effects, &CHANGES_READING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_set_something_are_kept_and_bounded() {
        let mut lease = Lease::default();
        lease.note(Some(Effects::WRITES), b"insert", Dialect::default());
        assert!(lease.take_touched().is_empty() && !lease.reads_otherwise());
        lease.note(Some(Effects::SET), b"set a = 1", Dialect::default());
        assert!(lease.reads_otherwise() && !lease.unknown);
        let touched = lease.take_touched();
        assert_eq!(touched.len(), 1);
        assert_eq!(touched[0].text.expose(), b"set a = 1");
        lease.note(Some(Effects::SET), &[b' '; 16 * 1024], Dialect::default());
        assert!(!lease.unknown);
        lease.note(Some(Effects::SET), b" ", Dialect::default());
        assert!(lease.unknown);
        let mut lease = Lease::default();
        lease.note(None, b"'", Dialect::default());
        assert!(lease.unknown && lease.reads_otherwise());
    }
}
