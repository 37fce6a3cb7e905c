//! Owns what decides how bytes become tokens: the client's encoding and the settings of its session.

/// The state of a session that its SQL is lexed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lexing {
    /// `client_encoding`.
    pub encoding: Encoding,
    /// `standard_conforming_strings`: off makes a backslash in `''` an escape.
    pub standard_conforming_strings: bool,
    /// A text of more bytes is [`crate::Unknown::TooLong`].
    pub len_max: usize,
}

impl Default for Lexing {
    /// A session as most drivers have it, and 1 MiB.
    fn default() -> Self {
        Self {
            encoding: Encoding::Utf8,
            standard_conforming_strings: true,
            len_max: 1 << 20,
        }
    }
}

/// Client encodings, as far as they matter to lexing. The server converts a text before it lexes it;
/// here the characters whose later bytes may be ASCII are stepped over whole instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF8; the text must be valid.
    Utf8,
    /// SQL_ASCII, the EUC and the single-byte encodings: an ASCII byte is always itself.
    AsciiSafe,
    /// SJIS and SHIFT_JIS_2004.
    Sjis,
    /// BIG5, GBK and UHC: two bytes from 0x80 on.
    TwoBytes,
    /// GB18030: two or four bytes.
    Gb18030,
    /// JOHAB.
    Johab,
}

impl Encoding {
    /// A number of its own, for what is made of texts.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The encoding of a name as `client_encoding` takes it: case and punctuation don't count.
    /// `None` for a name that PostgreSQL doesn't have.
    pub fn named(name: &str) -> Option<Self> {
        let mut folded = [0; 24];
        let mut len = 0;
        for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
            *folded.get_mut(len)? = byte.to_ascii_lowercase();
            len += 1;
        }
        Some(match &folded[..len] {
            b"utf8" | b"unicode" => Self::Utf8,
            b"sjis" | b"shiftjis" | b"mskanji" | b"win932" | b"windows932" | b"shiftjis2004" => {
                Self::Sjis
            }
            b"big5" | b"win950" | b"windows950" | b"gbk" | b"win936" | b"windows936" | b"uhc"
            | b"win949" | b"windows949" => Self::TwoBytes,
            b"gb18030" => Self::Gb18030,
            b"johab" => Self::Johab,
            b"sqlascii" | b"euccn" | b"eucjp" | b"euckr" | b"euctw" | b"eucjis2004" | b"koi8"
            | b"koi8r" | b"koi8u" | b"alt" | b"tcvn" | b"tcvn5712" | b"vscii" | b"abc" | b"win"
            | b"win866" | b"win874" | b"windows866" | b"windows874" | b"muleinternal" => {
                Self::AsciiSafe
            }
            rest if rest.starts_with(b"latin") || rest.starts_with(b"iso8859") => Self::AsciiSafe,
            rest if rest.starts_with(b"win125") || rest.starts_with(b"windows125") => {
                Self::AsciiSafe
            }
            _ => return None,
        })
    }

    /// Bytes of the character that begins with `first`, a byte from 0x80 on, with `second` behind it.
    /// Encodings that are safe to walk byte by byte are walked so.
    pub(crate) fn width(self, first: u8, second: u8) -> usize {
        match self {
            Self::Utf8 | Self::AsciiSafe => 1,
            Self::Sjis if matches!(first, 0xa1..=0xdf) => 1,
            Self::Johab if first == 0x8f => 3,
            Self::Gb18030 if second.is_ascii_digit() => 4,
            Self::Sjis | Self::TwoBytes | Self::Gb18030 | Self::Johab => 2,
        }
    }
}
