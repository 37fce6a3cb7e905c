//! Owns operators: where one ends before a comment, and which may end in `+` or `-`.

use crate::lexer::Lexer;
use crate::token::Kind;
use crate::unknown::Unknown;

/// NAMEDATALEN: an operator of so many bytes is refused.
const NAME_LEN: usize = 64;

/// Whether an operator may contain this byte.
pub(crate) fn is_part(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

/// Only with one of these may an operator of several bytes end in `+` or `-`.
fn frees_sign(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%'
    )
}

/// An operator, where no comment begins.
pub(crate) fn lex(lexer: &mut Lexer<'_>) -> Result<Kind, Unknown> {
    let rest = &lexer.text[lexer.at..];
    let mut len = rest.iter().take_while(|&&byte| is_part(byte)).count();
    let comment = rest[..len]
        .windows(2)
        .position(|pair| pair == b"--" || pair == b"/*");
    len = comment.unwrap_or(len);
    while len > 1 && matches!(rest[len - 1], b'+' | b'-') {
        if rest[..len - 1].iter().any(|&byte| frees_sign(byte)) {
            break;
        }
        len -= 1;
    }
    if len >= NAME_LEN {
        return Err(Unknown::Name);
    }
    let arrow = &rest[..len] == b"=>";
    Ok(lexer.take(
        len,
        if arrow {
            Kind::Punctuation
        } else {
            Kind::Operator
        },
    ))
}
