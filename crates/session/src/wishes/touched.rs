//! Owns the names of parameters that a client's statements may have set since the server was last asked.
//!
//! Whether they did, and what a rollback made of it, isn't judged: the server is asked. Errs on one side:
//! a name may be noted that nothing was done to.

mod call;
mod named;

use super::name;
use sql::{Effects, Lexing, Verb};

/// Names that are noted one by one; beyond, everything counts as touched.
const NAMES_MAX: usize = 64;

/// What may have been set beyond the end of the transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// In lower case, sorted.
    names: Vec<Name>,
    reach: Reach,
    /// A custom parameter of unknown name may have been set: no question finds it.
    is_blind: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    name: Box<str>,
    how: How,
}

/// What may have been done to a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// Only set.
    Set,
    /// Only reset: by RESET, or SET … TO DEFAULT. Back to the client's base.
    Reset,
    /// Both.
    Both,
}

/// How far it goes beyond the names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// The names are all.
    #[default]
    Named,
    /// Any parameter may have been set.
    Any,
    /// All may have been reset as well: RESET ALL, DISCARD ALL.
    AllReset,
}

impl Touched {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// True if nothing needs to be asked.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.reach == Reach::Named && !self.is_blind
    }

    /// True if a custom parameter may have been set whose name can't be known: no question finds it. The
    /// client can only keep its server connection, or lose that setting.
    pub fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// Notes what a text may set. `effects` are those of the whole text, by [`sql::effects`].
    ///
    /// A text without effects on parameters costs nothing. Calls of functions other than `set_config`
    /// count as setting nothing; what DO, CALL and EXECUTE run may set anything.
    pub fn note(&mut self, text: &[u8], lexing: Lexing, effects: Effects) {
        if effects.has(Effects::SET | Effects::DISCARD) && self.statements(text, lexing).is_none() {
            self.unknown();
        }
        if effects.has(Effects::SET_CONFIG) {
            match call::set_configs(text, lexing, self) {
                Some(true) => {}
                // Not one call was found where one must be: quoted in a way that isn't read here.
                Some(false) | None => self.unknown(),
            }
        }
        if effects.has(Effects::CODE | Effects::EXECUTE) {
            self.unknown();
        }
    }

    /// Notes a text that could not be judged.
    pub fn unknown(&mut self) {
        self.reach = self.reach.max(Reach::Any);
        self.is_blind = true;
    }

    /// Notes one name as the server would read it, quotes removed; for whoever knows the first argument of
    /// `set_config` from a parameter.
    pub fn name(&mut self, name: &[u8]) {
        match name::folded(name) {
            Some(name) => self.put(&name, How::Set),
            None => self.unknown(),
        }
    }

    /// Adds what was noted elsewhere, as for a prepared statement when it is executed.
    pub fn add(&mut self, other: &Self) {
        for Name { name, how } in &other.names {
            self.put(name, *how);
        }
        self.reach = self.reach.max(other.reach);
        self.is_blind |= other.is_blind;
    }

    /// Whether parameters that aren't named here may have been set.
    pub(super) fn is_wide(&self) -> bool {
        self.reach > Reach::Named
    }

    /// The names, in lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &*name.name)
    }

    /// What may have been done to a parameter that is asked for.
    pub(super) fn how(&self, name: &str) -> How {
        let noted = self.names.iter().find(|noted| *noted.name == *name);
        match (noted.map(|noted| noted.how), self.reach) {
            (None | Some(How::Reset), Reach::AllReset) => How::Reset,
            (Some(_), Reach::AllReset) => How::Both,
            (Some(how), _) => how,
            (None, _) => How::Set,
        }
    }

    fn statements(&mut self, text: &[u8], lexing: Lexing) -> Option<()> {
        for statement in sql::statements(text, lexing) {
            let statement = statement.ok()?;
            match statement.verb {
                Verb::DiscardAll => self.reach = Reach::AllReset,
                Verb::Set | Verb::Reset => {
                    let is_reset = statement.verb == Verb::Reset
                        || statement
                            .value
                            .is_some_and(|value| value.of(text).eq_ignore_ascii_case(b"default"));
                    let how = if is_reset { How::Reset } else { How::Set };
                    let span = statement.name?;
                    let tail = statement.value.map_or(&b""[..], |value| value.of(text));
                    for name in named::parameters(span.of(text), tail, lexing)? {
                        match name {
                            named::Parameter::All if is_reset => self.reach = Reach::AllReset,
                            named::Parameter::All => {}
                            named::Parameter::Named(name) => self.put(&name, how),
                        }
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    fn put(&mut self, name: &str, how: How) {
        if !name::is_carried(name) {
            return;
        }
        match self.names.binary_search_by(|known| (*known.name).cmp(name)) {
            Ok(at) if self.names[at].how != how => self.names[at].how = How::Both,
            Ok(_) => {}
            Err(_) if self.names.len() >= NAMES_MAX => self.unknown(),
            Err(at) => {
                let name = name.into();
                self.names.insert(at, Name { name, how });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(text: &str, lexing: Lexing) -> Touched {
        let mut touched = Touched::new();
        let effects = sql::effects(text.as_bytes(), lexing).unwrap();
        touched.note(text.as_bytes(), lexing, effects);
        touched
    }

    /// The names, `!` behind those that were reset, `+` that were set as well, `*` for any, `-` for all reset, `?` for blind.
    fn said(touched: &Touched) -> String {
        let mut said: Vec<String> = touched
            .names
            .iter()
            .map(|n| match n.how {
                How::Set => n.name.to_string(),
                How::Reset => format!("{}!", n.name),
                How::Both => format!("{}!+", n.name),
            })
            .collect();
        match touched.reach {
            Reach::Named => {}
            Reach::Any => said.push("*".into()),
            Reach::AllReset => said.push("-".into()),
        }
        if touched.is_blind {
            said.push("?".into());
        }
        assert_eq!(touched.is_empty(), said.is_empty());
        said.join(" ")
    }

    #[test]
    fn names_are_found_in_all_forms_of_set_and_reset() {
        for (text, wanted) in [
            ("SELECT 1; UPDATE t SET a = 1", ""),
            ("SET work_mem = '1GB'", "work_mem"),
            ("SET SESSION Work_Mem TO 5; RESET geqo", "geqo! work_mem"),
            ("SET work_mem TO DEFAULT", "work_mem!"),
            ("SET LOCAL work_mem = 1", ""),
            ("BEGIN; SET TRANSACTION READ ONLY; COMMIT", ""),
            ("SET TIME /* */ ZONE 'UTC'", "timezone"),
            ("SET TIME ZONE INTERVAL '1' HOUR", "timezone"),
            ("RESET TIME ZONE", "timezone!"),
            ("SET NAMES 'SJIS'", "client_encoding"),
            ("SET SCHEMA 'x'", "search_path"),
            ("SET XML OPTION DOCUMENT", "xmloption"),
            (
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                "default_transaction_deferrable default_transaction_isolation default_transaction_read_only",
            ),
            ("SET app.user = 'x'", "app.user"),
            ("SET \"App\" . \"User\" TO 'x'", "app.user"),
            ("SET \"app.user\" = 1", "app.user"),
            ("SET \"DateStyle\" = ISO", "datestyle"),
            ("SET U&\"\\0061pp\" . x = 1", "* ?"),
            ("SET \"a b\".c = 1", "* ?"),
            ("SET ümlaut.x = 1", "* ?"),
            ("RESET ALL", "-"),
            ("RESET \"all\"", "all!"),
            ("DISCARD ALL", "-"),
            ("DISCARD PLANS", ""),
            (
                "SET ROLE r; SET SESSION AUTHORIZATION x; RESET ROLE; SET seed = 0.5",
                "",
            ),
            (
                "RESET SESSION AUTHORIZATION; RESET TRANSACTION ISOLATION LEVEL",
                "",
            ),
            ("SET SESSION ROLE x; SET role TO x", ""),
        ] {
            assert_eq!(said(&touched(text, Lexing::default())), wanted, "{text}");
        }
    }

    #[test]
    fn calls_of_set_config_tell_their_names() {
        for (text, wanted) in [
            ("SELECT set_config('app.User', $1, false)", "app.user"),
            (
                "SELECT pg_catalog.\"set_config\"('work_mem', 'x', false), set_config ( 'geqo', f(1, 2), $2)",
                "geqo work_mem",
            ),
            ("SELECT set_config('app.user', $1, true)", ""),
            (
                "SELECT set_config('app.user', (SELECT max(a, 'b')), TRUE )",
                "",
            ),
            (
                "SELECT set_config('app.user', ARRAY['a', true][1], is_local => true)",
                "app.user",
            ),
            ("SELECT set_config('app.user', 'x', not true)", "app.user"),
            (
                "SELECT set_config('app.user', 'x', true), set_config('app.user', 'x', false)",
                "app.user",
            ),
            ("SELECT set_config($1, $2, false)", "* ?"),
            ("SELECT set_config(name, 'x', false) FROM t", "* ?"),
            ("SELECT set_config('a' || 'b', 'x', false)", "* ?"),
            ("SELECT set_config(E'app.user', 'x', false)", "app.user"),
            ("SELECT set_config(E'app\\x2euser', 'x', false)", "* ?"),
            ("SELECT set_config('a''b', 'x', false)", "* ?"),
            ("SELECT set_config('app'\n'.user', 'x', false)", "* ?"),
            ("SELECT set_config($$app.user$$, 'x', false)", "* ?"),
            (
                "SELECT set_config(setting_name => 'a.b', new_value => 'x', is_local => true)",
                "* ?",
            ),
            ("SELECT set_config(U&'a.b', 'x', true)", "* ?"),
            (
                "SET work_mem = 1; SELECT set_config('a.b', 'x', false)",
                "a.b work_mem",
            ),
            (
                "SELECT 'set_config(''a.b'', 1, false)' -- set_config('c.d', '', false)",
                "",
            ),
            ("SELECT set_config('role', 'r', false)", ""),
            ("SELECT f('x')", ""),
            ("DO $$ BEGIN END $$", "* ?"),
            ("CALL p()", "* ?"),
            ("EXECUTE p", "* ?"),
        ] {
            assert_eq!(said(&touched(text, Lexing::default())), wanted, "{text}");
        }
    }

    #[test]
    fn a_backslash_counts_as_the_session_says() {
        let escapes = Lexing {
            standard_conforming_strings: false,
            ..Lexing::default()
        };
        let text = "SELECT set_config('app\\x2euser', 'x', false)";
        assert_eq!(said(&touched(text, escapes)), "* ?");
        assert_eq!(said(&touched(text, Lexing::default())), "* ?");
        let text = "SELECT set_config('a.b', 'x\\', true), set_config(', false)";
        assert_eq!(said(&touched(text, escapes)), "a.b");
    }

    #[test]
    fn notes_are_bounded_and_added() {
        let mut one = touched("SET a.b = 1; RESET geqo", Lexing::default());
        one.add(&touched("RESET a.b; SET c.d = 1", Lexing::default()));
        assert_eq!(said(&one), "a.b!+ c.d geqo!");
        assert_eq!((one.how("c.d"), one.how("geqo")), (How::Set, How::Reset));
        assert!(!one.is_wide());
        one.add(&touched("RESET ALL", Lexing::default()));
        assert_eq!((one.how("c.d"), one.how("x")), (How::Both, How::Reset));
        assert!(one.is_wide() && !one.is_blind());
        let mut many = Touched::new();
        for at in 0..=NAMES_MAX {
            assert!(!many.is_wide());
            many.name(format!("A.{at}").as_bytes());
        }
        assert!(many.is_wide() && many.names.len() == NAMES_MAX);
    }
}
