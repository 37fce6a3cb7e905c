//! Owns a table as JSON: a list of objects, by the columns' names. For pages that show what SHOW shows.

use crate::Snapshot;
use crate::datum::Datum;
use std::fmt::Write as _;

impl Snapshot {
    /// All rows as a JSON list of objects.
    pub fn json(&self) -> String {
        self.json_of(0..self.len())
    }

    /// An excerpt as a JSON object: how many rows there are in `all`, in how many of them a value contains
    /// `wanted` (without regard to the case of ASCII) in `found`, and the first of those in `rows`.
    pub fn json_excerpt(&self, wanted: &str, rows_max: usize) -> String {
        let wanted = wanted.to_ascii_lowercase();
        let has = |value: &Datum<'_>| match value {
            Datum::Null => false,
            Datum::Text(text) => text.to_ascii_lowercase().contains(&wanted),
            Datum::Int4(number) => number.to_string().contains(&wanted),
            Datum::Int8(number) => number.to_string().contains(&wanted),
            Datum::Numeric(number) => number.to_string().contains(&wanted),
        };
        let is_found = |at: &usize| wanted.is_empty() || self.row(*at).iter().any(has);
        let found: Vec<usize> = (0..self.len()).filter(is_found).collect();
        let (all, count) = (self.len(), found.len());
        let rows = self.json_of(found.into_iter().take(rows_max));
        format!("{{\"all\":{all},\"found\":{count},\"rows\":{rows}}}")
    }

    fn json_of(&self, rows: impl IntoIterator<Item = usize>) -> String {
        let columns = self.table().columns();
        let mut text = "[".to_owned();
        for (place, at) in rows.into_iter().enumerate() {
            text.push_str(if place == 0 { "{" } else { ",{" });
            for (number, value) in self.row(at).into_iter().enumerate() {
                let name = columns.get(number).map_or("", |it| it.name);
                let comma = if number == 0 { "" } else { "," };
                let _ = write!(text, "{comma}\"{name}\":");
                put(&value, &mut text);
            }
            text.push('}');
        }
        text.push(']');
        text
    }
}

fn put(value: &Datum<'_>, text: &mut String) {
    let _ = match value {
        Datum::Null => write!(text, "null"),
        Datum::Text(value) => {
            text.push('"');
            value.chars().for_each(|it| escape(it, text));
            text.push('"');
            Ok(())
        }
        Datum::Int4(number) => write!(text, "{number}"),
        Datum::Int8(number) => write!(text, "{number}"),
        Datum::Numeric(number) => write!(text, "{number}"),
    };
}

/// Appends a character of a JSON string (RFC 8259 section 7).
pub fn escape(character: char, text: &mut String) {
    match character {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        control if u32::from(control) < 0x20 || control == '\u{7f}' => {
            let _ = write!(text, "\\u{:04x}", u32::from(control));
        }
        plain => text.push(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activity, Version};

    #[test]
    fn an_excerpt_has_what_is_wanted_and_says_how_much_there_is() {
        let row = |id: u64, user: &str| Activity {
            id,
            user: user.to_owned(),
            ..Activity::default()
        };
        let rows = vec![
            row(1, "Ann"),
            row(2, "bob"),
            row(3, "JOANNA"),
            row(47, "eve"),
        ];
        let snapshot = Snapshot::Activity(rows);
        for (wanted, rows_max, found, ids) in [
            ("", 9, 4, &[1, 2, 3, 47][..]),
            ("", 2, 4, &[1, 2]),
            ("ann", 9, 2, &[1, 3]),
            ("ANN", 1, 2, &[1]),
            ("47", 9, 1, &[47]),
            ("\"", 9, 0, &[]),
        ] {
            let excerpt = snapshot.json_excerpt(wanted, rows_max);
            let start = format!("{{\"all\":4,\"found\":{found},\"rows\":[");
            assert!(excerpt.starts_with(&start), "{wanted}: {excerpt}");
            let shown: Vec<u64> = excerpt
                .split("\"id\":")
                .skip(1)
                .filter_map(|it| it.split(',').next()?.parse().ok())
                .collect();
            assert_eq!(shown, ids, "{wanted}");
        }
    }

    #[test]
    fn rows_are_objects() {
        let version = "a\"\\\n\u{1}ä\u{7f}".to_owned();
        let snapshot = Snapshot::Version(vec![Version { version }; 2]);
        let row = r#"{"version":"a\"\\\n\u0001ä\u007f"}"#;
        assert_eq!(snapshot.json(), format!("[{row},{row}]"));
        assert_eq!(Snapshot::Version(Vec::new()).json(), "[]");
        let row = Activity {
            id: 7,
            ..Activity::default()
        };
        let json = Snapshot::Activity(vec![row]).json();
        assert!(json.starts_with("[{\"id\":7,\"user\":\"\","), "{json}");
        assert!(
            json.contains(",\"pattern\":null,") && json.ends_with("}]"),
            "{json}"
        );
    }
}
