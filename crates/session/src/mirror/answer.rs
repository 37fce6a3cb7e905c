//! Owns what counts of an answer, and the comparison of two.

use std::fmt;
use wire::frame::HEADER;

/// Bytes of an ErrorResponse in which its SQLSTATE is looked for: PostgreSQL sends it third.
const LOOK_AHEAD_MAX: usize = 8192;

/// An SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct State([u8; 5]);

impl State {
    /// Of an error that has none where it is looked for.
    const UNKNOWN: State = State(*b"XX000");

    /// That of the ErrorResponse at the front of `bytes`, as far as it is here.
    pub(super) fn of(bytes: &[u8]) -> State {
        let body = bytes.get(HEADER..bytes.len().min(LOOK_AHEAD_MAX));
        let mut fields = body.unwrap_or_default().split(|byte| *byte == 0);
        let code = fields.find_map(|field| field.strip_prefix(b"C"));
        let code: Option<[u8; 5]> = code.and_then(|code| code.try_into().ok());
        code.filter(|it| it.iter().all(u8::is_ascii_alphanumeric))
            .map_or(State::UNKNOWN, State)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing but letters and digits is ever kept.
        f.write_str(std::str::from_utf8(&self.0).unwrap_or("XX000"))
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a server answered to a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// Rows, and pieces of copied data, of all statements together.
    pub rows: u64,
    /// The first error.
    pub error: Option<State>,
}

impl Answer {
    pub(super) fn failed(&mut self, bytes: &[u8]) {
        self.error.get_or_insert_with(|| State::of(bytes));
    }
}

/// Whether two answers agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They do.
    Same,
    /// One failed and the other did not, or they failed in different ways.
    ErrorsDiffer,
    /// Neither failed, and they have different numbers of rows.
    RowsDiffer,
}

impl Verdict {
    /// Of the client's answer and the mirror's.
    pub fn of(client: &Answer, mirror: &Answer) -> Verdict {
        if client.error != mirror.error {
            return Verdict::ErrorsDiffer;
        }
        // How many rows came before the same error is chance.
        match client.rows == mirror.rows || client.error.is_some() {
            true => Verdict::Same,
            false => Verdict::RowsDiffer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(fields: &str) -> Vec<u8> {
        let len = (fields.len() as u32 + 4).to_be_bytes();
        [&b"E"[..], &len, fields.as_bytes()].concat()
    }

    #[test]
    fn states_are_found_and_made_harmless() {
        for (fields, state) in [
            ("SERROR\0VERROR\0C42P01\0Mno table\0\0", "42P01"),
            ("SERROR\0Mno code\0\0", "XX000"),
            ("C42\u{1b}01\0\0", "XX000"),
            ("C42P012\0\0", "XX000"),
            ("", "XX000"),
        ] {
            assert_eq!(State::of(&error(fields)).to_string(), state, "{fields:?}");
        }
    }

    #[test]
    fn verdicts() {
        let state = |code: &str| Some(State::of(&error(&format!("C{code}\0\0"))));
        let answer = |rows, error| Answer { rows, error };
        for (client, mirror, verdict) in [
            (answer(3, None), answer(3, None), Verdict::Same),
            (answer(3, None), answer(2, None), Verdict::RowsDiffer),
            (
                answer(0, None),
                answer(0, state("42P01")),
                Verdict::ErrorsDiffer,
            ),
            (
                answer(0, state("22012")),
                answer(0, None),
                Verdict::ErrorsDiffer,
            ),
            (
                answer(0, state("22012")),
                answer(0, state("42P01")),
                Verdict::ErrorsDiffer,
            ),
            (
                answer(7, state("22012")),
                answer(2, state("22012")),
                Verdict::Same,
            ),
        ] {
            assert_eq!(
                Verdict::of(&client, &mirror),
                verdict,
                "{client:?} {mirror:?}"
            );
        }
    }
}
