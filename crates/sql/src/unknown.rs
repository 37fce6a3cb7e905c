//! Owns the reasons for which a text isn't judged.

use std::fmt;

/// Why a text was not understood. The server connection it goes to counts as dirty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Longer than [`crate::Lexing::len_max`].
    TooLong,
    /// Not valid in the client's encoding, or a NUL.
    Encoding,
    /// The text ends inside a string, a quoted identifier or a comment.
    Unterminated,
    /// A byte that begins no token.
    Byte,
    /// A number with letters behind it, or digits that don't fit its base.
    Number,
    /// An empty quoted identifier, or an operator longer than a name.
    Name,
    /// `U&''` while `standard_conforming_strings` is off: the server refuses it.
    UnicodeString,
    /// A statement that begins with no known verb.
    Verb,
    /// Parentheses that don't match, or a body `BEGIN ATOMIC` without its END.
    Unbalanced,
    /// EXPLAIN, PREPARE and the like nested more deeply than any statement needs.
    Nesting,
}

impl fmt::Display for Unknown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::TooLong => "longer than the limit for judging",
            Self::Encoding => "not valid in the client's encoding",
            Self::Unterminated => "ends inside a string, name or comment",
            Self::Byte => "a byte that begins no token",
            Self::Number => "a malformed number",
            Self::Name => "a name that is empty or too long",
            Self::UnicodeString => "a U& string without standard_conforming_strings",
            Self::Verb => "no known verb",
            Self::Unbalanced => "unbalanced parentheses or body",
            Self::Nesting => "nested too deeply",
        })
    }
}

impl std::error::Error for Unknown {}
