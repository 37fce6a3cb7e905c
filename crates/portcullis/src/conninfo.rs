//! Owns the connection as libpq takes it (manual, "Connection Strings"), and lines for a shell to
//! paste. Pure.

use std::fmt::Write as _;

/// A connection string: each value quoted where it must be.
pub(crate) fn conninfo(parameters: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{name}={}", value_of(value));
    }
    text
}

fn value_of(value: &str) -> String {
    match !value.is_empty() && value.bytes().all(is_plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-:@%+,=".contains(&byte)
}

/// A word for a POSIX shell.
pub(crate) fn shell_word(text: &str) -> String {
    let harmless = |byte: u8| is_plain(byte) || byte == b' ';
    match (text.bytes().all(is_plain), text.bytes().all(harmless)) {
        (true, _) if !text.is_empty() => text.to_owned(),
        (_, true) => format!("\"{text}\""),
        _ => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_words_are_quoted_where_they_must_be() {
        let plain = conninfo(&[("host", "localhost"), ("sslrootcert", "/a/b-c.crt")]);
        assert_eq!(plain, "host=localhost sslrootcert=/a/b-c.crt");
        assert_eq!(
            shell_word(&plain),
            "\"host=localhost sslrootcert=/a/b-c.crt\""
        );
        let odd = conninfo(&[("user", "o'hara \\ $x"), ("dbname", "")]);
        assert_eq!(odd, "user='o\\'hara \\\\ $x' dbname=''");
        assert_eq!(shell_word("a'b"), "'a'\\''b'");
        assert_eq!(shell_word("$x"), "'$x'");
        assert_eq!(shell_word("postgres://a@b:1/c"), "postgres://a@b:1/c");
        assert_eq!(shell_word(""), "\"\"");
    }
}
