//! Owns the format of the password file (manual, "The Password File"): lines of
//! `host:port:database:user:password`, `*` for anything, `\` before a colon or backslash. Pure.

use super::url::Target;
use buf::Secret;

/// The password of the first line that fits.
pub(crate) fn find(text: &[u8], target: &Target) -> Option<Secret> {
    let port = target.port.to_string();
    let wanted = [&target.host, &port, &target.database, &target.user];
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"#") {
            return None;
        }
        let mut rest = line;
        for wanted in wanted {
            rest = matched(rest, wanted.as_bytes())?;
        }
        let password = password(rest);
        (!password.is_empty()).then_some(password)
    })
}

/// What stands behind the field and its colon, if the field is `*` or `wanted`.
fn matched<'l>(field: &'l [u8], wanted: &[u8]) -> Option<&'l [u8]> {
    if let Some(rest) = field.strip_prefix(b"*:") {
        return Some(rest);
    }
    let (mut rest, mut wanted) = (field, wanted);
    loop {
        match (rest, wanted) {
            ([b':', after @ ..], []) => return Some(after),
            ([b'\\', escaped, after @ ..], [first, others @ ..]) if escaped == first => {
                (rest, wanted) = (after, others);
            }
            ([plain, after @ ..], [first, others @ ..])
                if plain == first && !b":\\".contains(plain) =>
            {
                (rest, wanted) = (after, others);
            }
            _ => return None,
        }
    }
}

/// The rest of the line, up to a colon that is not escaped.
fn password(field: &[u8]) -> Secret {
    let mut password = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b':', _) => break,
            (b'\\', [escaped, after @ ..]) => {
                password.push(*escaped);
                rest = after;
            }
            _ => {
                password.push(*first);
                rest = after;
            }
        }
    }
    Secret::from_vec(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let target = Target {
            user: "al:ice".to_owned(),
            host: "db".to_owned(),
            port: 5432,
            database: "app".to_owned(),
        };
        let table: [(&str, Option<&str>); 11] = [
            ("db:5432:app:al\\:ice:pw", Some("pw")),
            ("*:*:*:*:pw", Some("pw")),
            ("# db:5432:app:al\\:ice:no\n*:*:*:*:pw\r\n", Some("pw")),
            (
                "other:*:*:*:no\ndb:*:*:*:first\n*:*:*:*:second",
                Some("first"),
            ),
            ("*:*:*:*:a\\:b\\\\c", Some("a:b\\c")),
            ("*:*:*:*:a:ignored", Some("a")),
            ("db:5432:app:al:ice:no", None),
            ("db:543:app:*:no", None),
            ("d:*:*:*:no", None),
            ("*:*:*:*:", None),
            ("", None),
        ];
        for (text, expected) in table {
            let found = find(text.as_bytes(), &target);
            match expected {
                Some(password) => {
                    assert!(
                        found.is_some_and(|it| it.same_as(password.as_bytes())),
                        "{text:?}"
                    );
                }
                None => assert!(found.is_none(), "{text:?}"),
            }
        }
    }
}
