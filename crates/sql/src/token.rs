//! Owns what a token is: a kind and a place.

/// A piece of the text, in bytes: from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// Of the first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes of this piece.
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// A token and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub span: Span,
}

/// Kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Blanks and line ends.
    Space,
    /// `-- …` without its line end, or `/* … */`, nested.
    Comment,
    /// A key word or an unquoted identifier.
    Word,
    /// `"…"`.
    Quoted,
    /// `U&"…"`; a UESCAPE behind it is a word and a string of their own.
    UnicodeQuoted,
    /// `'…'` in any form but those below; with the pieces that continue it on later lines.
    String,
    /// `B'…'` or `X'…'`.
    Bits,
    /// `$tag$…$tag$`.
    Dollar,
    /// An integer or a decimal number, without a sign.
    Number,
    /// `$1`.
    Parameter,
    /// `::`.
    Typecast,
    /// `.`
    Dot,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `[`, `]`, `:`, `..`, `:=` or `=>`.
    Punctuation,
    /// Any operator.
    Operator,
}

impl Kind {
    /// Whether the server's parser never sees it.
    pub fn is_blank(self) -> bool {
        matches!(self, Self::Space | Self::Comment)
    }

    /// Whether it can name a thing.
    pub(crate) fn is_name(self) -> bool {
        matches!(self, Self::Word | Self::Quoted | Self::UnicodeQuoted)
    }
}
