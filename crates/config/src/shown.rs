//! Owns how settings are shown to people who ask a running proxy: each with its value and default, as
//! they were written.

use crate::read::dotted;
use crate::sections::SECTIONS;
use crate::setting::{Fallback, Occurs, Section, Setting};
use toml::de::{DeTable, DeValue};

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is called: its name alone if it stands in a section of the file's first level that may
    /// stand once, and no other such section has one of this name; else with its section.
    pub key: String,
    /// Its section and name, without the number of a section that may stand more than once.
    pub path: String,
    /// Its value; `None` if there is none, or if it may hold a secret.
    pub value: Option<String>,
    /// The value if nobody sets it.
    pub default: Option<String>,
}

/// A section of the file, and what to call it.
type Found<'t> = (String, &'t DeTable<'t>);

/// Every setting of the table, and those of sections that may stand more than once again for each that
/// has them, with its number.
pub(crate) fn all<'t>(file: &'t DeTable<'t>) -> Vec<Shown> {
    let mut rows = Vec::new();
    for section in SECTIONS {
        let found = find(file, section);
        let single = stands_once(section);
        let table = found.first().filter(|_| single).map(|(_, table)| *table);
        for setting in section.settings {
            let written = table.and_then(|table| value(table, setting));
            let default = default(setting);
            rows.push(Shown {
                key: key(section, setting),
                path: dotted(section.path, setting.name),
                value: match written {
                    Some(written) => written,
                    None => default.clone(),
                },
                default,
            });
        }
        for (name, table) in found.iter().filter(|_| !single) {
            for setting in section.settings {
                if let Some(value) = value(table, setting) {
                    rows.push(Shown {
                        key: dotted(name, setting.name),
                        path: dotted(section.path, setting.name),
                        value,
                        default: default(setting),
                    });
                }
            }
        }
    }
    rows
}

/// What a setting is called.
pub(crate) fn key(section: &Section, setting: &Setting) -> String {
    let has = |other: &&Section| other.settings.iter().any(|it| it.name == setting.name);
    let alike = SECTIONS.iter().filter(|it| stands_once(it)).filter(has);
    match stands_once(section) && !section.path.contains('.') && alike.count() == 1 {
        true => setting.name.to_owned(),
        false => dotted(section.path, setting.name),
    }
}

/// True if neither it nor a section that it is in may stand more than once.
pub(crate) fn stands_once(section: &Section) -> bool {
    let within = |outer: &&Section| {
        let rest = section.path.strip_prefix(outer.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut outer = SECTIONS.iter().filter(within);
    outer.all(|it| it.occurs == Occurs::Once)
}

/// All places where a section stands.
fn find<'t>(file: &'t DeTable<'t>, section: &Section) -> Vec<Found<'t>> {
    let mut found: Vec<Found<'t>> = vec![(String::new(), file)];
    for part in section.path.split('.') {
        let mut deeper = Vec::new();
        for (name, table) in found {
            match table.get(part).map(|value| value.get_ref()) {
                Some(DeValue::Table(table)) => deeper.push((dotted(&name, part), table)),
                Some(DeValue::Array(elements)) => {
                    for (at, element) in elements.iter().enumerate() {
                        if let DeValue::Table(table) = element.get_ref() {
                            let part = format!("{part}[{}]", at + 1);
                            deeper.push((dotted(&name, &part), table));
                        }
                    }
                }
                _ => {}
            }
        }
        found = deeper;
    }
    found
}

/// What is written; the inner `None` for what is not to be shown.
fn value(table: &DeTable<'_>, setting: &Setting) -> Option<Option<String>> {
    let written = table.get(setting.name)?;
    // The arguments of a program may be secrets, and so may the path of a URL.
    let is_shown = !setting.name.ends_with("_command") && setting.name != "url";
    Some(is_shown.then(|| text(written.get_ref())))
}

fn default(setting: &Setting) -> Option<String> {
    match setting.fallback {
        Fallback::Value(written) => DeValue::parse(written).ok().map(|it| text(it.get_ref())),
        Fallback::Unset(_) | Fallback::Required => None,
    }
}

/// A value without the quotes and brackets that TOML wants.
fn text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Boolean(choice) => choice.to_string(),
        DeValue::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(|it| text(it.get_ref())).collect();
            elements.join(",")
        }
        // No setting has such a value.
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const TEXT: &str = "[listen]\naddress = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n\
        [listen.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n\
        private_key_passphrase_command = [\"say\", \"opensesame\"]\n\
        [pool]\npool_mode = \"transaction\"\n\
        [[database]]\nname = \"a\"\nhost = \"h\"\n[[database]]\nname = \"b\"\nhost = \"i\"\n\
        pool_size = 7\n[database.tls]\nmode = \"disable\"\n";

    fn rows() -> Vec<Shown> {
        let file = DeTable::parse(TEXT).unwrap();
        all(file.get_ref())
    }

    #[test]
    fn every_setting_is_there_and_keys_are_unique() {
        let rows = rows();
        let keys: BTreeSet<_> = rows.iter().map(|row| &row.key).collect();
        assert_eq!(keys.len(), rows.len());
        for section in SECTIONS {
            for setting in section.settings {
                let key = key(section, setting);
                assert!(keys.contains(&key), "{key}");
            }
        }
    }

    #[test]
    fn values_are_those_written_else_the_default() {
        let rows = rows();
        for (key, value, default) in [
            (
                "listen.address",
                Some("127.0.0.1:1,127.0.0.1:2"),
                Some("127.0.0.1:6432"),
            ),
            ("listen.tls.certificate", Some("c"), None),
            ("pool_mode", Some("transaction"), Some("session")),
            ("default_pool_size", Some("20"), Some("20")),
            ("max_client_conn", Some("auto"), Some("auto")),
            ("max_user_connections", Some("0"), Some("0")),
            ("database[1].host", Some("h"), None),
            ("database[2].pool_size", Some("7"), None),
            ("database[2].tls.mode", Some("disable"), Some("verify-full")),
            ("database.host", None, None),
        ] {
            let row = rows.iter().find(|row| row.key == key);
            let row = row.unwrap_or_else(|| panic!("{key}"));
            assert_eq!(
                (row.value.as_deref(), row.default.as_deref()),
                (value, default),
                "{key}"
            );
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let rows = rows();
        let shown = format!("{rows:?}");
        assert!(!shown.contains("opensesame"), "{shown}");
        let key = "listen.tls.private_key_passphrase_command";
        let row = rows.iter().find(|row| row.key == key).unwrap();
        assert_eq!(row.value, None);
    }
}
