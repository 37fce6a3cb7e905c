//! Owns what can be wrong with a configuration, and how it is said: where, what, and what to do.
//! No error holds the value of a setting, which might be a secret in the wrong place.

use crate::conflict::Conflict;
use crate::setting::{Bounds, Unit, Word};
use std::fmt;
use std::sync::Arc;

/// A place in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name, as the caller gave it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key, dotted: `listen.tls.certificate`. Empty for an error of syntax.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.file, self.line, self.column)?;
        if self.key.is_empty() {
            return Ok(());
        }
        write!(out, ": {}", self.key)
    }
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What, and what to do.
    pub problem: Problem,
}

/// What is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not TOML. The text is the parser's, which never repeats the input.
    #[error("this is not TOML: {0}")]
    Syntax(String),
    /// No such setting.
    #[error("there is no such setting{}", hint(.0))]
    UnknownKey(Option<Suggestion>),
    /// No such section.
    #[error("there is no such section{}", hint(.0))]
    UnknownSection(Option<Suggestion>),
    /// A value where a section belongs, or the wrong kind of section.
    #[error("this is another kind of section; write {brackets}")]
    NotThisSection {
        /// The header to write.
        brackets: String,
    },
    /// A secret written into the file.
    #[error("secrets do not belong in this file; name a file or a variable with {file} or {env}")]
    InlineSecret {
        /// The setting that names a file.
        file: &'static str,
        /// The setting that names an environment variable.
        env: &'static str,
    },
    /// A value of another type.
    #[error("this is {found}; write {expected}")]
    WrongType {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// Too small or too large.
    #[error("this is out of bounds; allowed is {}", bounds.in_words(*unit))]
    OutOfBounds {
        /// What is allowed.
        bounds: Bounds,
        /// How it is counted.
        unit: Unit,
    },
    /// Not one of the words.
    #[error(
        "there is no such choice; write {}{}",
        list(words),
        did_you_mean(nearest)
    )]
    UnknownWord {
        /// The words.
        words: &'static [Word],
        /// The one that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The right type, but not of the right form.
    #[error("{0}")]
    Malformed(Malformed),
    /// A required setting is not there.
    #[error("this setting is required; for example: {name} = {sample}")]
    Missing {
        /// Its name.
        name: &'static str,
        /// An example of a value.
        sample: &'static str,
    },
    /// A required section is not there.
    #[error("this section is required; write {brackets} and its settings")]
    MissingSection {
        /// The header to write.
        brackets: String,
    },
    /// The same thing twice.
    #[error("this is the same as in line {first}; remove one of them")]
    Duplicate {
        /// The line of the first.
        first: usize,
    },
    /// Two settings that do not go together.
    #[error("{0}")]
    Conflict(Conflict),
}

/// What was probably meant by an unknown key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suggestion {
    /// A key or section of nearly that name.
    Near(String),
    /// The very name, in another section.
    In {
        /// The header of that section.
        brackets: String,
    },
    /// PgBouncer's name for a setting that is called otherwise here.
    Renamed {
        /// The name here.
        path: &'static str,
    },
}

/// A form that a text does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not IP:port.
    #[error(
        "this is not an address; write IP:port, for example \"127.0.0.1:6432\" or \"[::1]:6432\""
    )]
    Address,
    /// Not an address or network.
    #[error("this is not a network; write an IP address, or one with its bits: \"10.0.0.0/8\"")]
    Network,
    /// Not an octal mode.
    #[error("this is not a file mode; write octal digits in quotes, for example \"0600\"")]
    Mode,
    /// Not a duration.
    #[error(
        "this is not a duration; write seconds, or a number with ms, s, min, h or d: \"500ms\""
    )]
    Duration,
    /// A number whose unit is not clear.
    #[error(
        "a number needs its unit here, since PgBouncer counts this setting in milliseconds; \
         write for example \"30s\""
    )]
    UnitNeeded,
    /// Not a host.
    #[error("this is not a host; write a name, an IP address, or the directory of a Unix socket")]
    Host,
    /// Not a host of a cluster.
    #[error(
        "this is not a host of a cluster; write name:port, and behind it perhaps weight=, 0 to 1000, and \
         zone=: \"db2.example.com:5432 weight=50 zone=eu-1a\""
    )]
    Member,
    /// Not what a host of a cluster is called.
    #[error(
        "this is not a host of a cluster; write a name or an IP address, with its port where that matters: \
         \"db2.example.com\", \"[::1]:5433\""
    )]
    MemberName,
    /// Not a server of DNS.
    #[error(
        "this is not the address of a name server; write an IP address, with its port unless that is 53: \"10.0.0.53\" \
         or \"127.0.0.1:8600\""
    )]
    NameServer,
    /// Not a name to look up.
    #[error("this is not a name of DNS; write for example \"db.example.com\"")]
    DnsName,
    /// Not the URL of a service.
    #[error(
        "this is not the URL of a server; write https://, its name and its port, and nothing else: \
         \"https://db1.example.com:8008\""
    )]
    ServiceUrl,
    /// Not a certificate pin.
    #[error(
        "this is not a pin; write \"sha256:\" and the 64 hexadecimal digits of the certificate's SHA-256"
    )]
    Pin,
    /// Not a name in a certificate.
    #[error(
        "this is not a name in a certificate; write \"CN=…\", \"DNS:…\", \"email:…\" or \"URI:…\""
    )]
    CertificateName,
    /// A pattern that could match in more than one way.
    #[error(
        "this pattern is not clear; between two of / . @ : there may be one * or {{name}}, each \
         name stands once and has letters, digits and _"
    )]
    Pattern,
    /// Not a host name for SNI.
    #[error("this is not a host name; write for example \"db.example.com\" or \"*.example.com\"")]
    HostName,
    /// Not a parameter of a startup packet with its value.
    #[error(
        "this is not a startup parameter with its value; write for example \"portcullis.pool=reports\""
    )]
    StartupSetting,
    /// Not a command.
    #[error("this is not a command; write the program's path and its arguments as a list of texts")]
    Command,
    /// Not a version.
    #[error("this is not a version; write for example \"3.0.13\"")]
    Version,
    /// Not the name of an environment variable.
    #[error("this is not the name of a variable; write letters, digits and _, without a $")]
    EnvName,
    /// Not the name of a parameter.
    #[error("this is not the name of a parameter; write each in quotes of its own, as a list")]
    Parameter,
    /// Not the name of a relation or function.
    #[error("this is not such a name; write name, schema.name or schema.*")]
    NamePattern,
    /// Not a shape.
    #[error("this is not a shape; write its 64 hexadecimal digits")]
    Shape,
    /// Not two times of day.
    #[error("these are not two times of day; write for example \"22:00-06:00\"")]
    Hours,
    /// A control character.
    #[error("control characters are not allowed here; remove them")]
    ControlCharacter,
    /// A list without elements.
    #[error("an empty list says nothing; name at least one")]
    EmptyList,
}

/// What follows "there is no such setting".
fn hint(suggestion: &Option<Suggestion>) -> String {
    match suggestion {
        None => "; see `portcullis settings` for all".to_owned(),
        Some(Suggestion::Near(name)) => format!("; did you mean {name}?"),
        Some(Suggestion::In { brackets }) => format!("; it belongs under {brackets}"),
        Some(Suggestion::Renamed { path }) => format!("; here it is called {path}"),
    }
}

/// `"a", "b" or "c"`.
fn list(words: &[Word]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        let between = match index {
            0 => "",
            _ if index + 1 == words.len() => " or ",
            _ => ", ",
        };
        text.push_str(between);
        text.push_str(&format!("\"{}\"", word.word));
    }
    text
}

/// What follows a list of words.
fn did_you_mean(nearest: &Option<&'static str>) -> String {
    match nearest {
        None => String::new(),
        Some(word) => format!(" (did you mean \"{word}\"?)"),
    }
}
