//! Owns PgBouncer's file as such: sections, settings, comments and included files, read as its own
//! parser does. Takes what reads a file as an argument; gives settings with their places.

use crate::fault::{At, Fault, LineProblem};
use buf::Secret;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// As deep as PgBouncer goes.
const INCLUDED_MOST: usize = 10;

/// One line `key = value`.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What stands before the sign.
    pub(crate) key: String,
    /// Where.
    pub(crate) at: At,
    value: Secret,
}

impl Entry {
    /// What stands behind the sign. It may hold a password.
    pub(crate) fn value(&self) -> &str {
        // It was cut out of a text at ASCII letters.
        std::str::from_utf8(self.value.expose()).unwrap_or_default()
    }
}

/// All settings. Of two with the same name, the last one counts; it stands where the first did.
#[derive(Debug, Default)]
pub(crate) struct Ini {
    pub(crate) databases: Vec<Entry>,
    pub(crate) users: Vec<Entry>,
    pub(crate) peers: Vec<Entry>,
    pub(crate) pgbouncer: Vec<Entry>,
}

impl Ini {
    /// A setting of `[pgbouncer]`, if it is written.
    pub(crate) fn general(&self, key: &str) -> Option<&Entry> {
        self.pgbouncer.iter().find(|entry| entry.key == key)
    }

    fn section(&mut self, name: &str) -> Option<&mut Vec<Entry>> {
        Some(match name {
            "databases" => &mut self.databases,
            "users" => &mut self.users,
            "peers" => &mut self.peers,
            "pgbouncer" => &mut self.pgbouncer,
            _ => return None,
        })
    }
}

/// What reads a file. The text is wiped, since it may hold passwords.
pub(crate) type Load<'l> = dyn FnMut(&Path) -> Result<Secret, ErrorKind> + 'l;

/// Reads a file and all that it includes. Included files are found from the working directory, as
/// PgBouncer finds them.
pub(crate) fn read(file: &Path, load: &mut Load<'_>) -> Result<Ini, Vec<Fault>> {
    let mut reader = Reader {
        load,
        ini: Ini::default(),
        section: None,
        faults: Vec::new(),
    };
    reader.file(file, None, 0);
    match reader.faults.is_empty() {
        true => Ok(reader.ini),
        false => Err(reader.faults),
    }
}

struct Reader<'r, 'l> {
    load: &'r mut Load<'l>,
    ini: Ini,
    /// The section that goes on, also across files.
    section: Option<String>,
    faults: Vec<Fault>,
}

impl Reader<'_, '_> {
    fn file(&mut self, path: &Path, named: Option<&At>, depth: usize) {
        let text = match (self.load)(path) {
            Ok(text) => text,
            Err(kind) => {
                let (at, path) = (named.cloned(), path.to_owned());
                return self.faults.push(Fault::Unreadable { at, path, kind });
            }
        };
        let Ok(text) = std::str::from_utf8(text.expose()) else {
            let path = path.to_owned();
            return self.faults.push(Fault::NotText { path });
        };
        let file: Arc<Path> = path.into();
        for (line, content) in (1..).zip(text.lines()) {
            let at = At {
                file: file.clone(),
                line,
            };
            self.line(&at, content.trim_matches(is_space), depth);
        }
    }

    fn line(&mut self, at: &At, content: &str, depth: usize) {
        let include = content.strip_prefix("%include");
        if let Some(path) = include.filter(|path| path.starts_with([' ', '\t'])) {
            match depth < INCLUDED_MOST {
                true => self.file(&PathBuf::from(path.trim()), Some(at), depth + 1),
                false => self.bad(at, LineProblem::IncludedTooDeep),
            }
        } else if content.is_empty() || content.starts_with(['#', ';']) {
        } else if let Some(rest) = content.strip_prefix('[') {
            match rest.split_once(']') {
                // What follows is read as a line of its own.
                Some((name, rest)) => {
                    self.open(at, name);
                    self.line(at, rest.trim_start_matches(is_space), depth);
                }
                None => self.bad(at, LineProblem::Syntax),
            }
        } else {
            match setting(content) {
                Some((key, value)) => self.put(at, key, value),
                None => self.bad(at, LineProblem::Syntax),
            }
        }
    }

    /// A section begins. `[pgbouncer]` begins with all defaults, also the second time.
    fn open(&mut self, at: &At, name: &str) {
        match self.ini.section(name) {
            Some(section) if name == "pgbouncer" => section.clear(),
            Some(_) => {}
            None => self.bad(at, LineProblem::Section),
        }
        self.section = Some(name.to_owned());
    }

    fn put(&mut self, at: &At, key: String, value: &str) {
        let Some(name) = &self.section else {
            return self.bad(at, LineProblem::NoSection);
        };
        // A section that is not known has been said.
        let Some(section) = self.ini.section(name) else {
            return;
        };
        let entry = Entry {
            key,
            at: at.clone(),
            value: Secret::new(value.as_bytes()),
        };
        match section.iter_mut().find(|it| it.key == entry.key) {
            Some(earlier) => *earlier = entry,
            None => section.push(entry),
        }
    }

    fn bad(&mut self, at: &At, problem: LineProblem) {
        let at = at.clone();
        self.faults.push(Fault::Line { at, problem });
    }
}

/// White space of C, which no letter beyond ASCII is.
fn is_space(letter: char) -> bool {
    letter.is_ascii_whitespace() || letter == '\x0b'
}

/// Both sides of a line `key = value`.
fn setting(content: &str) -> Option<(String, &str)> {
    let (key, rest) = match content.strip_prefix('"') {
        Some(quoted) => quoted_key(quoted)?,
        None => {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.-*".contains(letter);
            let end = content.find(|letter| !fits(letter))?;
            let (key, rest) = content.split_at(end);
            (key.to_owned(), rest)
        }
    };
    let value = rest.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    let value = value.trim_matches(is_space);
    (!key.is_empty()).then_some((key, value))
}

/// A name in double quotes, of which each one inside is doubled.
fn quoted_key(mut rest: &str) -> Option<(String, &str)> {
    let mut key = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        key.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                key.push('"');
                rest = after;
            }
            None => return Some((key, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_files(files: &[(&str, &str)]) -> Result<Ini, Vec<String>> {
        let mut load = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            let found = found.ok_or(ErrorKind::NotFound)?;
            Ok(Secret::new(found.1.as_bytes()))
        };
        let faults = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect();
        read(Path::new(files[0].0), &mut load).map_err(faults)
    }

    fn shown(section: &[Entry]) -> Vec<String> {
        let show = |it: &Entry| format!("{} {}={}", it.at.short(), it.key, it.value());
        section.iter().map(show).collect()
    }

    #[test]
    fn lines_are_read_as_pgbouncer_reads_them() {
        let ini = read_files(&[(
            "a.ini",
            ";c\n # c\n[databases]\r\n\n* = host=a ; no comment \r\n  b.c-d_1\t=\t\nx==y\n\
             \"my \"\"db\"\"\" = host=q\n[users] u = pool_mode=session\n[pgbouncer]\nv=1\nw=2\nv = 3",
        )])
        .unwrap();
        assert_eq!(
            shown(&ini.databases),
            [
                "a.ini:5 *=host=a ; no comment",
                "a.ini:6 b.c-d_1=",
                "a.ini:7 x==y",
                "a.ini:8 my \"db\"=host=q",
            ]
        );
        assert_eq!(shown(&ini.users), ["a.ini:9 u=pool_mode=session"]);
        assert_eq!(shown(&ini.pgbouncer), ["a.ini:13 v=3", "a.ini:12 w=2"]);
    }

    #[test]
    fn sections_go_on_through_included_files_and_the_main_one_starts_anew() {
        let ini = read_files(&[
            (
                "a",
                "[pgbouncer]\nv = 1\n[databases]\n%include  b.ini \nd = 2\n",
            ),
            ("b.ini", "c = 1\n[pgbouncer]\nw = 1\n[databases]\n"),
        ])
        .unwrap();
        assert_eq!(shown(&ini.databases), ["b.ini:1 c=1", "a:5 d=2"]);
        assert_eq!(shown(&ini.pgbouncer), ["b.ini:3 w=1"]);
    }

    #[test]
    fn mistakes_come_all_at_once_with_file_and_line() {
        let faults = read_files(&[
            (
                "a",
                "x = 1\n[databases\nname\n[databases]\nmy db = host=x\n= 5\n[nonsense]\ny = 1\n\
                 %include b\n%include gone\n%includes = 1\n",
            ),
            ("b", "[pgbouncer]\nwhat ever\n"),
        ])
        .unwrap_err();
        let line =
            "this is no line of a configuration; write [section], name = value, or ; comment";
        assert_eq!(
            faults,
            [
                "a:1: this stands above every section; write [pgbouncer] before it",
                &format!("a:2: {line}"),
                &format!("a:3: {line}"),
                &format!("a:5: {line}"),
                &format!("a:6: {line}"),
                "a:7: there is no such section; there are databases, users, peers and pgbouncer",
                &format!("b:2: {line}"),
                "a:10: cannot read gone: entity not found; run this as PgBouncer's user, where its \
                 files are",
                &format!("a:11: {line}"),
            ]
        );
    }

    #[test]
    fn a_file_that_includes_itself_is_no_end() {
        let faults = read_files(&[("a", "%include a\n")]).unwrap_err();
        assert_eq!(
            faults,
            ["a:1: files are included more than ten deep; does one include itself?"]
        );
    }
}
