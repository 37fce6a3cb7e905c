//! Owns the names of parameters: which can be carried, and in what form they are compared.
//!
//! The server compares names without regard to the case of ASCII letters, quoted or not
//! (`guc_name_compare`). A custom parameter is two or more identifiers with dots between.

/// Bytes of a name: an identifier's, NAMEDATALEN - 1.
pub(super) const NAME_MAX: usize = 63;

/// The name in lower case if it is plain: letters, digits, `_`, `$` and dots, nothing outside ASCII.
pub(super) fn folded(name: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.');
    if name.is_empty() || name.len() > NAME_MAX || !name.iter().all(plain) {
        return None;
    }
    std::str::from_utf8(name).ok().map(str::to_ascii_lowercase)
}

/// Whether it is a custom parameter, of an application or of an extension.
pub(super) fn is_custom(name: &str) -> bool {
    name.contains('.')
}

/// Parameters that aren't a client's to carry: they speak of the role, of one transaction, or of the
/// server; `seed` can't be read.
pub(super) fn is_carried(name: &str) -> bool {
    !matches!(
        name,
        "role"
            | "session_authorization"
            | "is_superuser"
            | "transaction_isolation"
            | "transaction_read_only"
            | "transaction_deferrable"
            | "seed"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_folded_and_others_refused() {
        for (name, wanted) in [
            (&b"DateStyle"[..], Some("datestyle")),
            (b"App.User_1$", Some("app.user_1$")),
            (b"", None),
            (b"a b", None),
            (b"a\"b", None),
            (b"a'b", None),
            (b"a\\b", None),
            (b"a\0", None),
            ("é.x".as_bytes(), None),
            (&[b'a'; 63], Some(&"a".repeat(63))),
            (&[b'a'; 64], None),
        ] {
            assert_eq!(folded(name).as_deref(), wanted, "{name:?}");
        }
    }
}
