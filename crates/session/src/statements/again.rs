//! Owns a batch that may have to be sent again: one whose first request failed because the server's
//! statement was stale, before anything was executed.
//!
//! A statement that the server lost is prepared again in any case. One whose table has got other
//! columns only where the client learns of them: it parsed the text in this batch, or asks for a
//! description before it executes. To any other client the error is what PostgreSQL gives it, and
//! drivers know how to prepare anew.

use buf::Plain;
use wire::frame::Header;

/// The first requests of a batch, as the client sent them, until their first answer comes.
#[derive(Debug)]
pub struct Again {
    /// Kept for the next batch: most connections that serve whole sessions never have one.
    bytes: Option<Box<Plain>>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is kept.
    Empty,
    /// A batch is under way. `described`: the client learns what columns it gets.
    Kept { described: bool },
    /// It failed, and is to be sent again.
    Due,
}

/// How a statement is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The server doesn't have it.
    Lost,
    /// It has other columns now.
    Changed,
}

impl Default for Again {
    fn default() -> Self {
        Again {
            bytes: None,
            state: State::Empty,
        }
    }
}

impl Again {
    /// Bytes of a batch that is kept; a longer one is not sent again.
    pub const BYTES_MAX: usize = 4096;
    /// Messages of it.
    const MESSAGES_MAX: usize = 64;

    /// Keeps a batch that begins at the front of `bytes` with the use of a statement and is here to
    /// its Sync, if it is short. `parsed`: that statement was parsed in the same batch.
    #[inline]
    pub(crate) fn keep(&mut self, bytes: &[u8], parsed: bool) {
        let Some((len, described)) = measure(bytes) else {
            return;
        };
        self.drop();
        let empty = || Box::new(Plain::with_capacity(Self::BYTES_MAX));
        let kept = self.bytes.get_or_insert_with(empty);
        if kept.push(&bytes[..len]).is_ok() {
            self.state = State::Kept {
                described: described || parsed,
            };
        }
    }

    /// The first answer came, or the batch is nobody's any more.
    #[inline]
    pub(crate) fn drop(&mut self) {
        if self.state != State::Empty {
            if let Some(bytes) = &mut self.bytes {
                bytes.clear();
            }
            self.state = State::Empty;
        }
    }

    /// True if a batch is kept.
    #[inline]
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.state, State::Kept { .. })
    }

    /// True if the batch under way may be sent again.
    pub(crate) fn may(&self, stale: Stale) -> bool {
        match self.state {
            State::Kept { described } => described || stale == Stale::Lost,
            State::Empty | State::Due => false,
        }
    }

    /// It is to be sent again.
    pub(crate) fn demand(&mut self) {
        self.state = State::Due;
    }

    /// True if a batch is to be sent again: [`crate::relay::to_server`] does it, with or without input.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.state == State::Due
    }

    /// Takes the batch that is to be sent again.
    pub(crate) fn take(&mut self) -> Box<Plain> {
        self.bytes.take().unwrap_or_else(|| Box::new(Plain::none()))
    }

    /// Gives back what wasn't sent yet.
    pub(crate) fn give_back(&mut self, bytes: Box<Plain>) {
        if bytes.is_empty() {
            self.state = State::Empty;
        }
        self.bytes = Some(bytes);
    }
}

/// The length of a short batch that is here to its Sync and only uses statements, and whether it
/// describes something before it executes.
#[inline]
fn measure(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut at = 0;
    let mut described = false;
    let mut executed = false;
    for _ in 0..Again::MESSAGES_MAX {
        let header = Header::peek(bytes.get(at..)?)?;
        at += header.total();
        if at > bytes.len().min(Again::BYTES_MAX) || header.len < 4 {
            return None;
        }
        match header.tag {
            b'S' => return Some((at, described)),
            b'B' | b'H' => {}
            b'D' => described |= !executed,
            b'E' => executed = true,
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(tags: &[u8], body: usize) -> Vec<u8> {
        let frames = tags.iter().map(|tag| {
            let len = body as u32 + 4;
            let header = Header { tag: *tag, len };
            [&header.bytes()[..], &vec![0; body]].concat()
        });
        frames.collect::<Vec<_>>().concat()
    }

    #[test]
    fn batches_that_may_be_sent_again() {
        use Stale::{Changed, Lost};
        let table: &[(&[u8], usize, bool, bool, bool)] = &[
            // (messages, bytes of each, parsed, sent again if lost, if changed)
            (b"BES", 10, false, true, false),
            (b"BES", 10, true, true, true),
            (b"BDES", 10, false, true, true),
            (b"DS", 10, false, true, true),
            (b"BEDS", 10, false, true, false),
            (b"BEBEHS", 10, false, true, false),
            (b"BE", 10, false, false, false),
            (b"BEPS", 10, false, false, false),
            (b"BECS", 10, false, false, false),
            (b"BEQS", 10, false, false, false),
            (b"BES", 1360, false, true, false),
            (b"BES", 1361, false, false, false),
        ];
        for (tags, body, parsed, lost, changed) in table {
            let mut again = Again::default();
            again.keep(&batch(tags, *body), *parsed);
            assert_eq!((again.may(Lost), again.may(Changed)), (*lost, *changed));
            again.drop();
            assert!(!again.may(Lost) && !again.is_due());
        }
        let mut long = Again::default();
        long.keep(&[batch(&[b'B'; 64], 0), batch(b"S", 0)].concat(), true);
        assert!(!long.may(Lost));
    }
}
