//! Owns what may be said in the console: from words to a [`Statement`]. The right to say it is judged
//! elsewhere.

mod cluster;

use crate::tables::Table;
use crate::words::{Word, words};

/// What an administrator orders. The shell carries it out and answers with an [`Outcome`](crate::Outcome).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Lends no server connection any more, and is done when all are back; of one database or of all.
    Pause(Option<String>),
    /// Ends `PAUSE`, `SUSPEND` or `KILL`.
    Resume(Option<String>),
    /// Closes clients and servers at once, and pauses.
    Kill(Option<String>),
    /// Closes one client, by the `id` of `SHOW CLIENTS`.
    KillClient(u64),
    /// Cancels what one client executes or waits for, as its own cancel request would.
    CancelClient(u64),
    /// Closes each server connection as soon as nobody has it.
    Reconnect(Option<String>),
    /// Turns new clients of a database away.
    Disable(String),
    /// Ends `DISABLE`.
    Enable(String),
    /// Flushes and stops reading from all sockets.
    Suspend,
    /// Is done when the server connections of before `RECONNECT` or `RELOAD` are closed.
    WaitClose(Option<String>),
    /// Forgets what was counted of statements by pattern.
    ResetPatterns,
    /// Asks nothing new of a standby.
    Drain {
        /// Its cluster.
        cluster: String,
        /// The host, with or without its port.
        host: String,
    },
    /// Ends `DRAIN`.
    Undrain {
        /// Its cluster.
        cluster: String,
        /// The host, with or without its port.
        host: String,
    },
    /// Has another host of a cluster become its primary, without an error for anybody.
    Switchover {
        /// The cluster.
        cluster: String,
        /// The host, with or without its port; `None`: the standby that has the most of the log.
        to: Option<String>,
    },
    /// Reads the configuration anew.
    Reload,
    /// Ends the process.
    Shutdown(Shutdown),
    /// Changes a setting in the running process.
    Set {
        /// Its name.
        key: String,
        /// Its new value.
        value: String,
    },
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// At once.
    Immediate,
    /// When all server connections are back: each client may finish its transaction.
    WaitForServers,
    /// When all clients have gone by themselves.
    WaitForClients,
}

impl Command {
    /// Its first word, which is its tag when it is done.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pause(_) => "PAUSE",
            Self::Resume(_) => "RESUME",
            Self::Kill(_) => "KILL",
            Self::KillClient(_) => "KILL_CLIENT",
            Self::CancelClient(_) => "CANCEL_CLIENT",
            Self::Reconnect(_) => "RECONNECT",
            Self::Disable(_) => "DISABLE",
            Self::Enable(_) => "ENABLE",
            Self::Suspend => "SUSPEND",
            Self::WaitClose(_) => "WAIT_CLOSE",
            Self::ResetPatterns => "RESET",
            Self::Drain { .. } => "DRAIN",
            Self::Undrain { .. } => "UNDRAIN",
            Self::Switchover { .. } => "SWITCHOVER",
            Self::Reload => "RELOAD",
            Self::Shutdown(_) => "SHUTDOWN",
            Self::Set { .. } => "SET",
        }
    }
}

/// What a text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Nothing: drivers ask so whether the connection lives.
    Empty,
    /// `SHOW HELP`
    Help,
    /// `SHOW` a table.
    Show(Table),
    /// `SHOW` a setting that drivers ask for.
    ShowFaked(&'static Faked),
    /// `SET` of such a setting, without effect.
    SetFaked,
    /// An order.
    Command(Command),
}

/// A setting of PostgreSQL's that drivers look at or set by themselves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Faked {
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
}

/// Values as PgBouncer gives them.
static FAKED: &[Faked] = &[
    faked("client_encoding", "UTF-8"),
    faked("default_transaction_isolation", "read committed"),
    faked("standard_conforming_strings", "on"),
    faked("datestyle", "ISO"),
    faked("timezone", "GMT"),
    faked("extra_float_digits", "2"),
    faked("application_name", ""),
];

const fn faked(name: &'static str, value: &'static str) -> Faked {
    Faked { name, value }
}

/// Why a text says nothing that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misunderstood {
    /// It is no command.
    Invalid,
    /// `DISABLE` and `ENABLE` of what?
    NoDatabase,
    /// `KILL_CLIENT` and `CANCEL_CLIENT` want a number.
    NoClient,
    /// `SWITCHOVER` of what?
    NoCluster,
    /// `DRAIN` and `UNDRAIN` of what?
    NoHost,
    /// `SHOW FDS`: what it would give out are sockets in the middle of TLS.
    Fds,
}

/// The longest name of a database or setting.
const NAME_MAX: usize = 63;

/// The longest value of `SET`.
const VALUE_MAX: usize = 1024;

/// Understands one statement. Several in one text are none, as in PgBouncer.
pub(crate) fn understand(text: &str) -> Result<Statement, Misunderstood> {
    let mut words = words(text).ok_or(Misunderstood::Invalid)?;
    if words.last() == Some(&Word::Semicolon) {
        words.pop();
    }
    let mut words = words.into_iter();
    let Some(first) = words.next() else {
        return Ok(Statement::Empty);
    };
    let verb = first.name().ok_or(Misunderstood::Invalid)?;
    let verb = verb.to_ascii_lowercase();
    match verb.as_str() {
        "set" => return set(words),
        "drain" | "undrain" | "switchover" => return cluster::order(&verb, words.as_slice()),
        _ => {}
    }
    let argument = match words.next() {
        None => None,
        Some(word) => Some(word.name().ok_or(Misunderstood::Invalid)?),
    };
    let fits = argument.as_ref().is_none_or(|it| it.len() <= NAME_MAX);
    if words.next().is_some() || !fits {
        return Err(Misunderstood::Invalid);
    }
    let database = argument.as_deref().filter(|it| !it.is_empty());
    let database = database.map(str::to_owned);
    let command = match verb.as_str() {
        "show" | "select" => return show(argument.as_deref().unwrap_or_default()),
        "pause" => Command::Pause(database),
        "resume" => Command::Resume(database),
        "kill" => Command::Kill(database),
        "reconnect" => Command::Reconnect(database),
        "wait_close" => Command::WaitClose(database),
        "disable" => Command::Disable(database.ok_or(Misunderstood::NoDatabase)?),
        "enable" => Command::Enable(database.ok_or(Misunderstood::NoDatabase)?),
        "kill_client" => Command::KillClient(client(argument.as_deref())?),
        "cancel_client" => Command::CancelClient(client(argument.as_deref())?),
        "reset"
            if argument
                .as_deref()
                .is_some_and(|it| it.eq_ignore_ascii_case("patterns")) =>
        {
            Command::ResetPatterns
        }
        "suspend" if argument.is_none() => Command::Suspend,
        "reload" if argument.is_none() => Command::Reload,
        "shutdown" => Command::Shutdown(shutdown(argument.as_deref())?),
        _ => return Err(Misunderstood::Invalid),
    };
    Ok(Statement::Command(command))
}

fn client(argument: Option<&str>) -> Result<u64, Misunderstood> {
    let id = argument.and_then(|it| it.parse().ok());
    id.ok_or(Misunderstood::NoClient)
}

fn shutdown(mode: Option<&str>) -> Result<Shutdown, Misunderstood> {
    match mode.map(str::to_ascii_uppercase).as_deref() {
        None => Ok(Shutdown::Immediate),
        Some("WAIT_FOR_SERVERS") => Ok(Shutdown::WaitForServers),
        Some("WAIT_FOR_CLIENTS") => Ok(Shutdown::WaitForClients),
        Some(_) => Err(Misunderstood::Invalid),
    }
}

fn show(what: &str) -> Result<Statement, Misunderstood> {
    if let Some(faked) = find(what) {
        return Ok(Statement::ShowFaked(faked));
    }
    match what.to_ascii_uppercase().as_str() {
        "HELP" => Ok(Statement::Help),
        "FDS" => Err(Misunderstood::Fds),
        name => {
            let table = Table::ALL.iter().find(|it| it.name() == name);
            table
                .map(|it| Statement::Show(*it))
                .ok_or(Misunderstood::Invalid)
        }
    }
}

/// `key = value` or `key TO value`.
fn set<'a>(mut words: impl Iterator<Item = Word<'a>>) -> Result<Statement, Misunderstood> {
    let (key, sign, value, end) = (words.next(), words.next(), words.next(), words.next());
    let assigned = match sign {
        Some(Word::Equals) => true,
        Some(Word::Bare(word)) => word.eq_ignore_ascii_case("to"),
        _ => false,
    };
    let key = key.and_then(Word::name).filter(|it| !it.is_empty());
    let value = value.and_then(Word::value);
    match (key, value) {
        (Some(key), Some(value))
            if assigned && end.is_none() && key.len() <= NAME_MAX && value.len() <= VALUE_MAX =>
        {
            match find(&key) {
                Some(_) => Ok(Statement::SetFaked),
                None => Ok(Statement::Command(Command::Set {
                    key: key.to_ascii_lowercase(),
                    value: value.into_owned(),
                })),
            }
        }
        _ => Err(Misunderstood::Invalid),
    }
}

fn find(name: &str) -> Option<&'static Faked> {
    FAKED.iter().find(|it| it.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Command {
        match understand(text) {
            Ok(Statement::Command(command)) => command,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn commands() {
        let foo = || Some("foo".to_owned());
        for (text, expected) in [
            ("PAUSE", Command::Pause(None)),
            ("pause foo;", Command::Pause(foo())),
            ("\"pause\" \"foo\" ; ", Command::Pause(foo())),
            ("pause \"\"", Command::Pause(None)),
            ("Resume foo", Command::Resume(foo())),
            ("kill", Command::Kill(None)),
            ("kill_client 42", Command::KillClient(42)),
            ("Cancel_Client 42;", Command::CancelClient(42)),
            ("reconnect foo", Command::Reconnect(foo())),
            ("wait_close", Command::WaitClose(None)),
            ("disable foo", Command::Disable("foo".into())),
            ("ENABLE 4db", Command::Enable("4db".into())),
            ("suspend;", Command::Suspend),
            ("RELOAD", Command::Reload),
            ("reset Patterns;", Command::ResetPatterns),
            ("shutdown", Command::Shutdown(Shutdown::Immediate)),
            (
                "shutdown wait_for_servers",
                Command::Shutdown(Shutdown::WaitForServers),
            ),
            (
                "SHUTDOWN WAIT_FOR_CLIENTS;",
                Command::Shutdown(Shutdown::WaitForClients),
            ),
        ] {
            assert_eq!(command(text), expected, "{text}");
        }
        for (text, value) in [
            ("SET Verbose = 1", "1"),
            ("set verbose='it''s a'", "it's a"),
            ("set verbose to \"x y\" ;", "x y"),
            ("set verbose = ''", ""),
        ] {
            let (key, value) = ("verbose".to_owned(), value.to_owned());
            assert_eq!(command(text), Command::Set { key, value }, "{text}");
        }
    }

    #[test]
    fn shows() {
        for text in ["show pools", "SELECT pools;", "-- a\nshow \"Pools\""] {
            assert_eq!(
                understand(text),
                Ok(Statement::Show(Table::Pools)),
                "{text}"
            );
        }
        for table in Table::ALL {
            let text = format!("SHOW {}", table.name());
            assert_eq!(understand(&text), Ok(Statement::Show(*table)));
        }
        assert_eq!(understand("show help"), Ok(Statement::Help));
        assert!(matches!(
            understand("show TimeZone"),
            Ok(Statement::ShowFaked(Faked { value: "GMT", .. }))
        ));
        for text in [
            "SET extra_float_digits = 3",
            "set client_encoding to 'utf8'",
        ] {
            assert_eq!(understand(text), Ok(Statement::SetFaked), "{text}");
        }
        for text in ["", " ;", "-- ping", "/* */;"] {
            assert_eq!(understand(text), Ok(Statement::Empty), "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        use Misunderstood::{Fds, Invalid, NoClient, NoDatabase};
        let long = "x".repeat(NAME_MAX + 1);
        for (text, expected) in [
            ("show", Invalid),
            ("select 1", Invalid),
            ("show pools; show pools", Invalid),
            ("show pools;;", Invalid),
            ("; show pools", Invalid),
            ("show 'pools'", Invalid),
            ("show pools clients", Invalid),
            ("show fds", Fds),
            ("reload foo", Invalid),
            ("suspend foo", Invalid),
            ("shutdown now", Invalid),
            ("disable", NoDatabase),
            ("enable;", NoDatabase),
            ("kill_client", NoClient),
            ("cancel_client", NoClient),
            ("cancel_client foo", NoClient),
            ("kill_client foo", NoClient),
            ("kill_client 99999999999999999999", NoClient),
            ("pause a-b", Invalid),
            ("set a = 1.5", Invalid),
            ("set", Invalid),
            ("set a", Invalid),
            ("set a =", Invalid),
            ("set a is b", Invalid),
            ("set a = b c", Invalid),
            ("set a 'to' b", Invalid),
            ("set '' = b", Invalid),
            ("begin", Invalid),
            ("reset", Invalid),
            ("reset work_mem", Invalid),
            (&format!("pause {long}"), Invalid),
        ] {
            assert_eq!(understand(text), Err(expected), "{text}");
        }
    }
}
