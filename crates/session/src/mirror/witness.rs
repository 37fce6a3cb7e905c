//! Owns the count of what a client's server answers to one request, while it passes to the client.

use super::Answer;
use wire::frame::Header;

/// Counts one answer, from its first frame to its ReadyForQuery.
#[derive(Debug, Clone, Copy, Default)]
pub struct Witness {
    answer: Answer,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    /// More of it is to come.
    #[default]
    UnderWay,
    /// That was all of it.
    Complete,
    /// It is not what the server said to the request alone.
    Spoilt,
}

impl Witness {
    /// Rows pass, or pieces of copied data.
    #[inline]
    pub(crate) fn rows(&mut self, rows: usize) {
        if self.fate == Fate::UnderWay {
            self.answer.rows += rows as u64;
        }
    }

    /// The frame at the front of `bytes` passes.
    #[inline]
    pub(crate) fn passed(&mut self, header: Header, bytes: &[u8]) {
        if self.fate != Fate::UnderWay {
            return;
        }
        match header.tag {
            b'D' | b'd' => self.answer.rows += 1,
            b'E' => self
                .answer
                .failed(&bytes[..bytes.len().min(header.total())]),
            b'Z' => {
                // Behind a request that is over with its answer, there is no transaction.
                self.fate = match bytes.get(wire::frame::HEADER) {
                    Some(b'I') => Fate::Complete,
                    _ => Fate::Spoilt,
                };
            }
            _ => {}
        }
    }

    /// The client reads something else than what the server said: a refusal, or the cut of a result.
    pub(crate) fn spoil(&mut self) {
        self.fate = Fate::Spoilt;
    }

    /// The answer, if it passed as a whole.
    pub fn answer(&self) -> Option<Answer> {
        (self.fate == Fate::Complete).then_some(self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framed::frame;

    fn told(frames: &[Vec<u8>]) -> Witness {
        let mut witness = Witness::default();
        for bytes in frames {
            let header = Header::peek(bytes).expect("a header");
            witness.passed(header, bytes);
        }
        witness
    }

    #[test]
    fn an_answer_is_complete_with_its_end() {
        let row = || frame(b'D', b"\0\0");
        let rows = [
            frame(b'T', b"\0\0"),
            row(),
            row(),
            frame(b'C', b"SELECT 2\0"),
        ];
        assert_eq!(told(&rows).answer(), None);
        let mut whole = rows.to_vec();
        whole.push(frame(b'Z', b"I"));
        let mut witness = told(&whole);
        let answer = witness.answer().expect("an answer");
        assert_eq!((answer.rows, answer.error), (2, None));
        // What comes later is another request's.
        witness.rows(5);
        witness.passed(Header { tag: b'D', len: 6 }, &row());
        assert_eq!(witness.answer(), Some(answer));
    }

    #[test]
    fn the_first_error_counts_and_a_transaction_is_none() {
        let error = |code: &str| frame(b'E', format!("SERROR\0C{code}\0\0").as_bytes());
        let ready = |status: &[u8]| frame(b'Z', status);
        let failed = told(&[error("42P01"), error("22012"), ready(b"I")]);
        let state = failed.answer().and_then(|it| it.error);
        assert_eq!(state.map(|it| it.to_string()).as_deref(), Some("42P01"));
        assert_eq!(told(&[ready(b"T")]).answer(), None);
        let mut spoilt = told(&[]);
        spoilt.spoil();
        spoilt.passed(Header { tag: b'Z', len: 5 }, &ready(b"I"));
        assert_eq!(spoilt.answer(), None);
    }
}
