//! Owns the question what a called function may leave behind.

use crate::builtins::BUILTINS;
use crate::effects::Effects;
use crate::names::Names;
use crate::reserved::RESERVED;
use crate::token::{Kind, Token};
use crate::word::{NAME_MAX, fold};

static HARMLESS: Names = Names::new(&BUILTINS);
static KEY_WORDS: Names = Names::new(&RESERVED);

/// The effects of calling `name`, in `schema` if it was given.
pub(crate) fn called(text: &[u8], schema: Option<Token>, name: Token) -> Effects {
    let mut room = [0; NAME_MAX];
    if let Some(schema) = schema
        && fold(text, schema, &mut room) != Some(b"pg_catalog")
    {
        return Effects::CALLS;
    }
    let Some(folded) = fold(text, name, &mut room) else {
        return Effects::CALLS;
    };
    if HARMLESS.contain(folded) {
        return Effects::NONE;
    }
    match folded {
        b"set_config" => Effects::SET_CONFIG,
        b"nextval" | b"setval" | b"currval" | b"lastval" => Effects::SEQUENCE,
        b"pg_advisory_lock"
        | b"pg_advisory_lock_shared"
        | b"pg_try_advisory_lock"
        | b"pg_try_advisory_lock_shared" => Effects::ADVISORY_LOCK,
        // What they give back, another statement took; drivers' pools call them to be sure.
        b"pg_advisory_unlock" | b"pg_advisory_unlock_shared" | b"pg_advisory_unlock_all" => {
            Effects::NONE
        }
        _ if is_reserved(schema, name, folded) => Effects::NONE,
        _ => Effects::CALLS,
    }
}

/// Quoted or with a schema, a key word is a name like any other.
fn is_reserved(schema: Option<Token>, name: Token, folded: &[u8]) -> bool {
    schema.is_none() && name.kind == Kind::Word && KEY_WORDS.contain(folded)
}

/// Whether this is a word of the grammar that no function can be called by without quotes or a schema.
pub(crate) fn is_key_word(text: &[u8], name: Token) -> bool {
    let mut room = [0; NAME_MAX];
    name.kind == Kind::Word
        && fold(text, name, &mut room).is_some_and(|folded| KEY_WORDS.contain(folded))
}
