//! Owns the writing of values into SQL: literals that can't be left, in ASCII alone.

use std::fmt::Write;

/// SQL text in the making. Wiped when dropped: it holds values.
#[derive(Default)]
pub(super) struct Sql(pub(super) String);

impl Drop for Sql {
    fn drop(&mut self) {
        // Zeros are UTF-8 again.
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        buf::wipe(&mut bytes);
    }
}

impl Sql {
    /// With room for so many bytes: a string that grows leaves its old bytes behind.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    pub(super) fn put(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    /// A quoted identifier. Names come from `name::folded`, which knows no quote.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        debug_assert!(!name.contains('"'));
        self.put("\"").put(name).put("\"")
    }

    /// `E'…'`, which no setting makes mean anything else; the value is ASCII. A quote is doubled: `\'` is
    /// refused under some client encodings (`backslash_quote`).
    pub(super) fn literal(&mut self, value: &[u8]) -> &mut Self {
        debug_assert!(value.is_ascii() && !value.contains(&0));
        self.put("E'");
        for &byte in value {
            if matches!(byte, b'\'' | b'\\') {
                self.0.push(char::from(byte));
            }
            self.0.push(char::from(byte));
        }
        self.put("'")
    }

    /// An expression for bytes in the database's own encoding.
    pub(super) fn value(&mut self, value: &[u8]) -> &mut Self {
        if value.is_ascii() {
            return self.literal(value);
        }
        self.put("pg_catalog.convert_from(pg_catalog.decode('");
        for byte in value {
            // Writing to a string doesn't fail.
            let _ = write!(self.0, "{byte:02x}");
        }
        self.put("', 'hex'), pg_catalog.getdatabaseencoding())")
    }
}

/// Bytes from their hexadecimal form, which has an even number of lower-case digits.
pub(super) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for pair in text.chunks(2) {
        let [high, low] = *pair else {
            return None;
        };
        bytes.push(digit(high)? << 4 | digit(low)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_leaves_its_literal() {
        for (value, wanted) in [
            (&b""[..], "E''"),
            (b"plain", "E'plain'"),
            (b"'; DROP TABLE t; --", "E'''; DROP TABLE t; --'"),
            (b"\\'", r"E'\\'''"),
            (b"a\\", r"E'a\\'"),
            (b"\n$$\"", "E'\n$$\"'"),
        ] {
            let mut sql = Sql::default();
            sql.value(value);
            assert_eq!(sql.0, wanted);
        }
        let mut sql = Sql::default();
        sql.value("é'".as_bytes());
        assert!(sql.0.is_ascii() && sql.0.contains("decode('c3a927', 'hex')"));
    }

    #[test]
    fn hexadecimal_is_read_exactly() {
        assert_eq!(unhex(b""), Some(vec![]));
        assert_eq!(unhex(b"00ff5c"), Some(vec![0, 255, 0x5c]));
        for bad in [&b"0"[..], b"0g", b"0A", b"\\x00", b"00f"] {
            assert_eq!(unhex(bad), None);
        }
    }
}
