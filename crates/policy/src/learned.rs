//! Owns what is learned of clients' statements: which shapes each identity executes, how often and when; and the file
//! of rules that is made of it.
//!
//! The file is TOML that a configuration takes as it is: for each identity one rule that allows its shapes. What
//! stands there for people (the text without literals, how often, when) are comments of a fixed form, so that what was
//! learned before a restart is read back.

use sql::ShapeId;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who sends statements, as far as rules that are learned tell clients apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Identity {
    /// The name that the client proved.
    pub user: String,
    /// The role of its server connections.
    pub role: String,
    /// The database.
    pub database: String,
}

/// What was seen of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seen {
    text: String,
    count: u64,
    first_s: u64,
    last_s: u64,
}

type Shapes = BTreeMap<[u8; 32], Seen>;

/// What was learned, of all sessions.
#[derive(Debug)]
pub struct Learned {
    statements_max: usize,
    store: Mutex<Store>,
    /// Changes so far.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Store {
    identities: BTreeMap<Identity, Shapes>,
    statements: usize,
    /// For which there was no room.
    left_out: u64,
    /// That can't be judged, so that no shape allows them.
    unsure: BTreeMap<Identity, u64>,
}

/// Bytes of a text in the file.
const TEXT_MAX: usize = 1000;

impl Learned {
    /// Nothing yet; at most so many statements.
    pub fn new(statements_max: usize) -> Learned {
        Learned {
            statements_max,
            store: Mutex::default(),
            changes: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes with what is learned.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Statements that are known.
    pub fn len(&self) -> usize {
        self.lock().statements
    }

    /// True before the first.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A statement came, `times` times more; `text` makes its text without literals, if it is new.
    pub fn note(
        &self,
        identity: &Identity,
        ShapeId(shape): ShapeId,
        (times, now_s): (u64, u64),
        text: impl FnOnce() -> String,
    ) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let mut store = self.lock();
        if let Some(seen) = store
            .identities
            .get_mut(identity)
            .and_then(|it| it.get_mut(&shape))
        {
            seen.count += times;
            seen.last_s = now_s;
            if seen.first_s == 0 {
                seen.first_s = now_s;
            }
            return;
        }
        if store.statements >= self.statements_max {
            store.left_out += 1;
            return;
        }
        store.statements += 1;
        let seen = Seen {
            text: one_line(&text()),
            count: times,
            first_s: now_s,
            last_s: now_s,
        };
        let shapes = store.identities.entry(identity.clone()).or_default();
        shapes.insert(shape, seen);
    }

    /// A statement came that can't be judged.
    pub fn note_unsure(&self, identity: &Identity) {
        let mut store = self.lock();
        let known = store.unsure.len();
        if known < self.statements_max || store.unsure.contains_key(identity) {
            self.changes.fetch_add(1, Ordering::Relaxed);
            *store.unsure.entry(identity.clone()).or_default() += 1;
        }
    }

    /// The file.
    pub fn write(&self) -> String {
        let store = self.lock();
        let mut file = String::from(HEAD);
        if store.left_out > 0 {
            let _ = writeln!(
                file,
                "# Left out, for want of room (learn_max): {} more.",
                store.left_out
            );
        }
        for (identity, count) in &store.unsure {
            let (user, database) = (quoted(&identity.user), quoted(&identity.database));
            let _ = writeln!(
                file,
                "# Not learned, as no shape allows what can't be judged: {count} of {user} in {database}. \
                 Write a rule with effect = [\"unknown\"] if they are to pass."
            );
        }
        for (identity, shapes) in &store.identities {
            let _ = write!(
                file,
                "\n[[rule]]\nname = \"learned-{:016x}\"\naction = \"allow\"\nuser = {}\nrole = {}\ndatabase = {}\nshape = [\n",
                number(identity),
                quoted(&identity.user),
                quoted(&identity.role),
                quoted(&identity.database),
            );
            for (shape, seen) in shapes {
                let _ = write!(
                    file,
                    "    # {}\n    # {} times, from {} to {}\n    \"",
                    seen.text,
                    seen.count,
                    time(seen.first_s),
                    time(seen.last_s)
                );
                for byte in shape {
                    let _ = write!(file, "{byte:02x}");
                }
                file.push_str("\",\n");
            }
            file.push_str("]\n");
        }
        file
    }

    /// Takes in what such a file says; what isn't of its form is passed over.
    pub fn read(&self, file: &str) {
        let mut identity = Identity::default();
        let mut seen = Seen::default();
        for line in file.lines().map(str::trim) {
            if line == "[[rule]]" {
                identity = Identity::default();
            } else if let Some(name) = line.strip_prefix("user = ") {
                identity.user = unquoted(name);
            } else if let Some(name) = line.strip_prefix("role = ") {
                identity.role = unquoted(name);
            } else if let Some(name) = line.strip_prefix("database = ") {
                identity.database = unquoted(name);
            } else if let Some(comment) = line.strip_prefix("# ") {
                match counted(comment) {
                    Some((count, first_s, last_s)) => {
                        (seen.count, seen.first_s, seen.last_s) = (count, first_s, last_s);
                    }
                    None => comment.clone_into(&mut seen.text),
                }
            } else if let Some(shape) = shape(line) {
                let seen = std::mem::take(&mut seen);
                let (count, first_s, last_s) = (seen.count, seen.first_s, seen.last_s);
                self.note(&identity, ShapeId(shape), (count, last_s), || seen.text);
                if let Some(seen) = (self.lock().identities)
                    .get_mut(&identity)
                    .and_then(|it| it.get_mut(&shape))
                {
                    seen.first_s = first_s;
                }
            }
        }
    }
}

const HEAD: &str = "\
# Learned by Portcullis: for each user, role and database the statements that came, as rules that allow just these.
# While [policy] learn names this file, it is written anew every few seconds. To enforce it: review it, name it in
# rules_file instead of learn, set default = \"deny\", and restart.
";

/// FNV-1a: a name that stays the same.
fn number(identity: &Identity) -> u64 {
    let parts = [&identity.user, &identity.role, &identity.database];
    let bytes = parts.iter().flat_map(|it| it.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    let mut end = line.len().min(TEXT_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    if end < line.len() {
        line.truncate(end);
        line.push_str(" ...");
    }
    line
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            it if it.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(it));
            }
            it => quoted.push(it),
        }
    }
    quoted.push('"');
    quoted
}

fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let mut letters = inner.unwrap_or(text).chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '\\' { letters.next() } else { None }) {
            ('\\', Some('u')) => {
                let digits: String = letters.by_ref().take(4).collect();
                let number = u32::from_str_radix(&digits, 16).ok();
                plain.extend(number.and_then(char::from_u32));
            }
            ('\\', Some(it)) => plain.push(it),
            (it, _) => plain.push(it),
        }
    }
    plain
}

fn shape(line: &str) -> Option<[u8; 32]> {
    let digits = line.strip_suffix(',').unwrap_or(line);
    let digits = digits.strip_prefix('"')?.strip_suffix('"')?;
    let mut shape = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (index, byte) in shape.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(shape)
}

/// `12 times, from TIME to TIME`.
fn counted(comment: &str) -> Option<(u64, u64, u64)> {
    let (count, times) = comment.split_once(" times, from ")?;
    let (first, last) = times.split_once(" to ")?;
    Some((count.parse().ok()?, seconds(first)?, seconds(last)?))
}

/// A time of RFC 3339, in seconds and UTC.
fn time(unix_s: u64) -> String {
    let (year, month, day) = calendar::date((unix_s / 86_400) as i64);
    let second = unix_s % 86_400;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn seconds(time: &str) -> Option<u64> {
    let number = |from: usize, until: usize| time.get(from..until)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = calendar::day((year as i64, month as u8, day as u8));
    Some(u64::try_from(days).ok()? * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_back() {
        for (unix_s, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(time(unix_s), written);
            assert_eq!(seconds(written), Some(unix_s));
        }
        for bad in [
            "",
            "1969-12-31T23:59:59Z",
            "2024-13-01T00:00:00Z",
            "yesterday",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_added_to() {
        let ann = Identity {
            user: "ann \"the\\first\"\u{7}".into(),
            role: "app".into(),
            database: "shop".into(),
        };
        let bob = Identity {
            user: "bob".into(),
            ..ann.clone()
        };
        let learned = Learned::new(3);
        let text = || "select\n? from \"a\"".to_owned();
        learned.note(&ann, ShapeId([7; 32]), (1, 1000), text);
        learned.note(&ann, ShapeId([7; 32]), (2, 2000), || unreachable!());
        learned.note(&ann, ShapeId([8; 32]), (0, 3000), text);
        learned.note(&bob, ShapeId([7; 32]), (1, 4000), text);
        assert_eq!(learned.len(), 3);
        let file = learned.write();
        assert!(file.contains("# select ? from \"a\"\n"), "{file}");
        assert!(file.contains("# 3 times, from 1970-01-01T00:16:40Z to 1970-01-01T00:33:20Z\n"));
        let again = Learned::new(3);
        again.read(&file);
        assert_eq!(again.write(), file);
        again.note(&ann, ShapeId([7; 32]), (1, 5000), || unreachable!());
        let more = again.write();
        assert!(more.contains("# 4 times, from 1970-01-01T00:16:40Z to 1970-01-01T01:23:20Z\n"));
        // There is no room for a fourth, which is said.
        again.note(&bob, ShapeId([9; 32]), (1, 1), text);
        again.note_unsure(&bob);
        let full = again.write();
        assert_eq!(again.len(), 3);
        assert!(full.contains("(learn_max): 1 more.") && full.contains("1 of \"bob\" in \"shop\""));
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        let line = one_line(&"é".repeat(TEXT_MAX));
        assert!(line.ends_with("é ...") && line.len() <= TEXT_MAX + 4);
    }
}
