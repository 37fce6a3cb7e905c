//! Owns the change of one setting in a running proxy: the same as if the file said so, judged by the same
//! rules.

use crate::error::{Malformed, Problem};
use crate::read::judge;
use crate::sections::{RENAMED, SECTIONS};
use crate::setting::{Section, Setting};
use crate::shown;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A setting with the value that it is to have instead of the file's.
#[derive(Debug, Clone)]
pub struct Change {
    section: &'static Section,
    setting: &'static Setting,
    /// The value in TOML.
    value: String,
}

/// Why a setting can't be changed on its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unchangeable {
    /// There is no such setting, but PgBouncer has it under this name.
    #[error("here it is called {0}")]
    Renamed(&'static str),
    /// There is no such setting.
    #[error("there is no such setting; SHOW CONFIG shows all")]
    Unknown,
    /// It stands in a section of which there may be several.
    #[error("there may be several of {0}; change the configuration file, then RELOAD")]
    Several(&'static str),
    /// The value doesn't fit.
    #[error("{0}")]
    Bad(Problem),
}

impl Change {
    /// The change of the setting that is shown under this key, or has it as its full name. The value is as
    /// one would write it in the file, or the same without quotes.
    pub fn of(key: &str, value: &str) -> Result<Change, Unchangeable> {
        let (section, setting) = find(key)?;
        let mut fault = None;
        for value in [Some(value.to_owned()), quoted(value)]
            .into_iter()
            .flatten()
        {
            match judge(&value, setting) {
                Some(Ok(())) => {
                    return Ok(Change {
                        section,
                        setting,
                        value,
                    });
                }
                Some(Err(bad)) => fault = fault.or(Some(bad)),
                None => {}
            }
        }
        let unreadable = Problem::Malformed(Malformed::ControlCharacter);
        Err(Unchangeable::Bad(fault.unwrap_or(unreadable)))
    }

    /// The setting's section and name.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section.path, self.setting.name)
    }

    /// Puts the value where the file would have it.
    pub(crate) fn apply<'t>(&'t self, file: &mut DeTable<'t>) {
        // It was judged before.
        let Ok(value) = DeValue::parse(&self.value) else {
            return;
        };
        let mut table = file;
        for part in self.section.path.split('.') {
            if !table.contains_key(part) {
                let empty = DeValue::Table(DeTable::new());
                table.insert(Spanned::new(0..0, part.into()), Spanned::new(0..0, empty));
            }
            match table.get_mut(part).map(Spanned::get_mut) {
                Some(DeValue::Table(inner)) => table = inner,
                // The reader says so.
                _ => return,
            }
        }
        let value = Spanned::new(0..0, value.into_inner());
        table.insert(Spanned::new(0..0, self.setting.name.into()), value);
    }
}

fn find(key: &str) -> Result<(&'static Section, &'static Setting), Unchangeable> {
    let mut several = None;
    for section in SECTIONS {
        for setting in section.settings {
            let full = format!("{}.{}", section.path, setting.name);
            let is_meant = key == full || key == shown::key(section, setting);
            match shown::stands_once(section) {
                true if is_meant => return Ok((section, setting)),
                false if is_meant || key == setting.name => several = Some(section.path),
                _ => {}
            }
        }
    }
    if let Some(path) = several {
        return Err(Unchangeable::Several(path));
    }
    match RENAMED.iter().find(|(theirs, _)| *theirs == key) {
        Some((_, ours)) => Err(Unchangeable::Renamed(ours)),
        None => Err(Unchangeable::Unknown),
    }
}

/// A text as TOML writes it; `None` with a control character.
fn quoted(text: &str) -> Option<String> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!("\"{escaped}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    const TEXT: &str = "[listen]\naddress = \"127.0.0.1:1\"\n[listen.tls]\ncertificate = \"c\"\n\
        private_key = \"k\"\n[auth]\nauth_user = \"u\"\n[[database]]\nname = \"a\"\nhost = \"h\"\n";

    fn with(key: &str, value: &str) -> Config {
        let changes = [Change::of(key, value).unwrap()];
        Config::from_text_with(TEXT, "p.toml", &changes).unwrap().0
    }

    fn shown(config: &Config, key: &str) -> Option<String> {
        let row = config.settings.iter().find(|row| row.key == key);
        row.and_then(|row| row.value.clone())
    }

    #[test]
    fn a_change_is_as_if_the_file_said_so() {
        let seconds = |config: &Config| config.limits.query_wait_timeout.as_secs();
        for (value, wanted) in [("7", 7), ("2min", 120), ("\"3s\"", 3)] {
            let config = with("query_wait_timeout", value);
            assert_eq!(seconds(&config), wanted, "{value}");
            assert_eq!(seconds(&with("limits.query_wait_timeout", value)), wanted);
        }
        let config = with("stats_users", "[\"a\", \"b\"]");
        assert_eq!(config.admin.as_ref().unwrap().stats_users, ["a", "b"]);
        assert_eq!(shown(&config, "stats_users").as_deref(), Some("a,b"));
        let config = with("listen.tls.mode", "allow");
        assert_eq!(shown(&config, "listen.tls.mode").as_deref(), Some("allow"));
        // The file is what it was.
        let (config, _) = Config::from_text(TEXT, "p.toml").unwrap();
        assert_eq!(shown(&config, "query_wait_timeout").as_deref(), Some("120"));
    }

    #[test]
    fn what_cannot_be_changed_says_why() {
        let fault = |key, value| Change::of(key, value).map(drop).unwrap_err();
        assert_eq!(fault("nonsense", "1"), Unchangeable::Unknown);
        assert_eq!(fault("verbose", "1"), Unchangeable::Renamed("log.level"));
        assert_eq!(
            fault("database.host", "h"),
            Unchangeable::Several("database")
        );
        for (key, value) in [
            ("default_pool_size", "0"),
            ("default_pool_size", "many"),
            ("pool_mode", "sometimes"),
            ("pool_mode", "a\nb"),
        ] {
            assert!(matches!(fault(key, value), Unchangeable::Bad(_)), "{key}");
        }
    }
}
