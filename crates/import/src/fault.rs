//! Owns why an import failed: the file, the line, the key, and what is wrong. Never a value that may
//! be a secret.

use crate::pairs::printable;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The file.
    pub file: Arc<Path>,
    /// Its line, counted from 1.
    pub line: usize,
}

impl At {
    /// The file's own name and the line, for comments.
    pub(crate) fn short(&self) -> String {
        let name = self.file.file_name().unwrap_or(self.file.as_os_str());
        format!("{}:{}", printable(&name.to_string_lossy()), self.line)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What PgBouncer would not take either, or a file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A file that cannot be read.
    #[error("{}cannot read {}: {kind}; run this as PgBouncer's user, where its files are", named(at), path.display())]
    Unreadable {
        /// The line that names it; `None` for the first one.
        at: Option<At>,
        /// The file.
        path: PathBuf,
        /// Why.
        kind: ErrorKind,
    },
    /// A file that is not text.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A line of the file that is not understood.
    #[error("{at}: {problem}")]
    Line {
        /// Where.
        at: At,
        /// What is wrong.
        problem: LineProblem,
    },
    /// A setting whose value is wrong.
    #[error("{at}: {key}: {problem}")]
    Setting {
        /// Where.
        at: At,
        /// The setting, safe to print.
        key: String,
        /// What is wrong.
        problem: Problem,
    },
}

impl Fault {
    /// The main file's own first, then others, by lines.
    pub(crate) fn order(&self, main: &Path) -> (bool, usize) {
        let at = match self {
            Self::Line { at, .. } | Self::Setting { at, .. } => Some(at),
            Self::Unreadable { at, .. } => at.as_ref(),
            Self::NotText { .. } => None,
        };
        let elsewhere = at.is_some_and(|at| &*at.file != main);
        (elsewhere, at.map_or(0, |at| at.line))
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// Neither of what a line can be.
    #[error("this is no line of a configuration; write [section], name = value, or ; comment")]
    Syntax,
    /// A section that PgBouncer doesn't have.
    #[error("there is no such section; there are databases, users, peers and pgbouncer")]
    Section,
    /// A setting above the first section.
    #[error("this stands above every section; write [pgbouncer] before it")]
    NoSection,
    /// Files that include each other.
    #[error("files are included more than ten deep; does one include itself?")]
    IncludedTooDeep,
    /// The same in the users file.
    #[error("this is no line of a users file; write \"user\" \"secret\", both in double quotes")]
    User,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not a number.
    #[error("this is not a whole number")]
    Number,
    /// Not a time.
    #[error("this is not a number of seconds")]
    Time,
    /// Not one of the words.
    #[error("there is no such choice; {0}")]
    Word(&'static str),
    /// Not a list of parameters.
    #[error("write name=value pairs, apart by spaces; a value with spaces in single quotes")]
    Pairs,
    /// Not a parameter of this section.
    #[error("PgBouncer has no such parameter here")]
    Parameter,
    /// Not a host.
    #[error("this is not a host; write a name, an IP address, or the directory of a Unix socket")]
    Host,
    /// Not a port.
    #[error("this is not a port; write a number from 1 to 65535")]
    Port,
    /// Not a text that can be taken over.
    #[error("this text is empty, too long, or has control characters")]
    Text,
    /// Not an address to listen on.
    #[error("this is not an address; write IP addresses, localhost or *")]
    Address,
    /// Not a peer's number.
    #[error("a peer's name is its number, from 1 to 16383")]
    PeerId,
    /// A peer without a place.
    #[error("a peer needs its host")]
    PeerHost,
    /// PgBouncer's own database.
    #[error("this name belongs to the console")]
    Reserved,
    /// A query that asks for nobody.
    #[error("the query must use $1, which stands for the user's name")]
    Query,
}

fn named(at: &Option<At>) -> String {
    at.as_ref().map_or(String::new(), |at| format!("{at}: "))
}
