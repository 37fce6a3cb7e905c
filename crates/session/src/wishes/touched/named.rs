//! Owns the reading of the parameter behind SET and RESET: `var_name` and its special forms
//! (`set_rest_more` in gram.y).

use crate::wishes::name;
use sql::{Kind, Lexer, Lexing, Token};

/// What stands behind SET or RESET.
pub(super) enum Parameter {
    /// The word ALL.
    All,
    /// One parameter, in lower case.
    Named(String),
}

/// The parameters that `text` names, where `tail` is what follows the name; `None` if only the server can
/// tell.
pub(super) fn parameters(text: &[u8], tail: &[u8], lexing: Lexing) -> Option<Vec<Parameter>> {
    let mut lexer = Lexer::new(text, lexing).ok()?;
    let mut words = Vec::new();
    while let Some(token) = lexer.significant().ok()? {
        words.push(token);
    }
    if let Some(names) = special(text, &words) {
        return Some(names.iter().map(|name| named(name)).collect());
    }
    let word = |at: usize| plain_word(text, words.get(at));
    if words.len() == 1 && word(0).as_deref() == Some("all") {
        return Some(vec![Parameter::All]);
    }
    // Of U&"" the escape character may come behind.
    let is_escape = tail
        .get(..7)
        .is_some_and(|t| t.eq_ignore_ascii_case(b"uescape"));
    let mut full = String::new();
    for (at, token) in words.iter().enumerate() {
        if at % 2 == 1 {
            full.push('.');
            (token.kind == Kind::Dot).then_some(())?;
            continue;
        }
        let mut room = [0; sql::NAME_MAX];
        let part = sql::fold(text, *token, &mut room)?;
        full.push_str(std::str::from_utf8(part).ok()?);
    }
    let is_whole = words.len() % 2 == 1 && !is_escape;
    let name = is_whole.then(|| name::folded(full.as_bytes()))??;
    Some(vec![Parameter::Named(name)])
}

fn named(name: &str) -> Parameter {
    Parameter::Named(name.to_owned())
}

/// Key words that stand for parameters. What has no name that is carried gives an empty list.
fn special(text: &[u8], words: &[Token]) -> Option<&'static [&'static str]> {
    let word = |at: usize| plain_word(text, words.get(at));
    let (first, second) = (word(0)?, word(1));
    Some(match (first.as_str(), second.as_deref(), words.len()) {
        ("time", Some("zone"), 2) => &["timezone"],
        ("names", _, 1) => &["client_encoding"],
        ("schema", _, 1) => &["search_path"],
        ("xml", Some("option"), 2) => &["xmloption"],
        // SET SESSION has its first word taken off already.
        ("session", Some("authorization"), 2) | ("authorization" | "transaction", _, 1) => &[],
        ("characteristics", _, 1) => &[
            "default_transaction_isolation",
            "default_transaction_read_only",
            "default_transaction_deferrable",
        ],
        _ => return None,
    })
}

/// An unquoted word in lower case.
fn plain_word(text: &[u8], token: Option<&Token>) -> Option<String> {
    let token = token.filter(|token| token.kind == Kind::Word)?;
    let word = std::str::from_utf8(token.span.of(text)).ok()?;
    Some(word.to_ascii_lowercase())
}
