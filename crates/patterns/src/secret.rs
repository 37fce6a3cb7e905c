//! Owns which texts may hold a password, so that they are not shown whatever a setting says. Errs on one side: it
//! looks for words in the bytes, wherever they stand.

/// Words of which one is enough.
const ALONE: &[&str] = &["password", "passwd", "secret", "pgp_sym", "crypt("];
/// Words of definitions, and of what is defined with a password or a connection.
const DEFINE: &[&str] = &["create", "alter"];
const DEFINED: &[&str] = &["user", "role", "group", "server", "subscription"];

/// True if a text may hold a password or the like.
pub fn may_hold_secret(text: &[u8]) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| contains(text, word.as_bytes()));
    has(ALONE) || (has(DEFINE) && has(DEFINED))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_with_passwords_and_whatever_looks_like_one() {
        for text in [
            "alter role a password 'x'",
            "ALTER USER a WITH ENCRYPTED PASSWORD 'x'",
            "create/**/user a PassWord 'x'",
            "CREATE SUBSCRIPTION s CONNECTION 'host=h pass' PUBLICATION p",
            "DO $$ begin execute 'alter role a ' || 'x'; end $$",
            "create user mapping for a server s options (x 'y')",
            "select dblink_connect('host=h password=x')",
            "select crypt('x', gen_salt('bf'))",
        ] {
            assert!(may_hold_secret(text.as_bytes()), "{text}");
        }
        for text in ["select 1", "update t set a = 1", "create table t (a int)"] {
            assert!(!may_hold_secret(text.as_bytes()), "{text}");
        }
    }
}
