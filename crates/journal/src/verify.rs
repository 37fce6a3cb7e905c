//! Owns the proof of a log: its chain, line by line, over all files given in the order in which they were written.
//!
//! Takes bytes, gives findings; holds one line at a time. Needs no key: the chain is over sealed lines as they are.

use crate::chain::{Link, Stamped, Writer};
use crate::sealed;
use crate::writer::event;
use seal::{Identity, OpenFault};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Write};

/// What is said of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The log starts in the middle: older files are gone or were not given.
    BeginsWith(Writer, u64),
    /// Another writer begins. A process begins a chain of its own where it finds none to go on with.
    OtherWriter(Writer),
    /// A process ended while it wrote, and the next one told so.
    Torn,
    /// Records found no room; the writer says so itself.
    Dropped(u64),
    /// It doesn't fit to the line before: one of them was changed.
    Changed(u64),
    /// Records are missing in front of it.
    Gap(u64, u64),
    /// Records with these numbers were there before.
    Doubled(u64),
    /// No record: put in, changed, or written without a chain.
    Foreign,
    /// The file ends in the middle of a line.
    CutOff,
    /// The head that was noted down is not in the log: it was cut off at its end, or written anew.
    HeadMissing(Link),
}

impl Finding {
    /// True if it speaks against the log; the others are facts to know.
    pub fn is_failure(&self) -> bool {
        !matches!(
            self,
            Finding::BeginsWith(..) | Finding::OtherWriter(_) | Finding::Torn | Finding::Dropped(_)
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::BeginsWith(writer, first) => write!(
                f,
                "writer {writer} begins with record {first}: what was before is in none of these files"
            ),
            Finding::OtherWriter(writer) => write!(f, "another writer begins: {writer}"),
            Finding::Torn => f.write_str("a process ended while it wrote this line; the next one went on behind it"),
            Finding::Dropped(count) => write!(f, "the writer had no room for {count} records (on_full)"),
            Finding::Changed(seq) => write!(
                f,
                "record {seq} does not fit to the line before it: this line or that one was changed"
            ),
            Finding::Gap(first, last) if first == last => write!(f, "record {first} is missing in front of this line"),
            Finding::Gap(first, last) => write!(f, "records {first} to {last} are missing in front of this line"),
            Finding::Doubled(seq) => write!(f, "record {seq} stands here once more"),
            Finding::Foreign => f.write_str("this line is no record of a chain: it was put in, changed, or written with audit = \"off\""),
            Finding::CutOff => f.write_str("the file ends in the middle of this line: it was cut off, or the process ended while it wrote"),
            Finding::HeadMissing(head) => write!(
                f,
                "there is no record {} of writer {} with the hash that was noted: the log was cut off at its end, or written anew",
                head.seq, head.writer
            ),
        }
    }
}

/// Where a finding is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub file: String,
    /// Its line, from 1; 0: none in particular.
    pub line: u64,
    /// What.
    pub finding: Finding,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.finding),
            line => write!(f, "{}:{line}: {}", self.file, self.finding),
        }
    }
}

/// What is known of one writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// Its first record here.
    pub first: u64,
    /// Where it stands.
    pub head: Link,
    /// Its process ended in order behind its last record. If not, it runs, was killed, or its end was cut off.
    pub is_closed: bool,
}

/// Checks a log.
#[derive(Debug, Default)]
pub struct Verifier {
    chains: BTreeMap<Writer, Chain>,
    found: Vec<Found>,
    heads: Vec<Link>,
    file: String,
    line: u64,
    /// A line without a stamp, which may be excused by the one behind it; and whether it has an end.
    unread: Option<u64>,
}

impl Verifier {
    /// Begins, with heads that were noted down before.
    pub fn new(heads: Vec<Link>) -> Verifier {
        Verifier {
            heads,
            ..Verifier::default()
        }
    }

    /// The next file.
    pub fn file(&mut self, name: &str, mut bytes: impl BufRead) -> io::Result<()> {
        name.clone_into(&mut self.file);
        self.line = 0;
        let mut line = Vec::new();
        while bytes.read_until(b'\n', &mut line)? > 0 {
            self.line += 1;
            match line.strip_suffix(b"\n") {
                // Behind a torn line that was moved away.
                Some([]) => {}
                Some(line) => self.line(line),
                None => {
                    self.judge_unread(false);
                    self.find(Finding::CutOff);
                }
            }
            line.clear();
        }
        self.judge_unread(false);
        Ok(())
    }

    fn find(&mut self, finding: Finding) {
        self.found.push(Found {
            file: self.file.clone(),
            line: self.line,
            finding,
        });
    }

    /// What a line without a stamp was.
    fn judge_unread(&mut self, is_torn: bool) {
        if let Some(line) = self.unread.take() {
            self.found.push(Found {
                file: self.file.clone(),
                line,
                finding: match is_torn {
                    true => Finding::Torn,
                    false => Finding::Foreign,
                },
            });
        }
    }

    fn line(&mut self, line: &[u8]) {
        let Some(stamped) = Stamped::read(line) else {
            self.judge_unread(false);
            self.unread = Some(self.line);
            return;
        };
        let told = Told::of(stamped.body);
        self.judge_unread(told == Told::Torn);
        let link = stamped.link();
        let is_first = self.chains.is_empty();
        match self.chains.get_mut(&stamped.writer) {
            None => self.begins(&stamped, is_first),
            Some(chain) => {
                let (last, expected) = (chain.head.seq, chain.head.seq + 1);
                if stamped.first < expected {
                    return self.find(Finding::Doubled(stamped.first));
                }
                let fits = chain.head.over(stamped.hashed) == stamped.hash;
                chain.head = link;
                chain.is_closed = told == Told::Closed;
                if stamped.first > expected {
                    self.find(Finding::Gap(last + 1, stamped.first - 1));
                } else if !fits {
                    self.find(Finding::Changed(stamped.first));
                }
            }
        }
        if let Told::Dropped(count) = told {
            self.find(Finding::Dropped(count));
        }
        self.heads.retain(|it| *it != link);
    }

    fn begins(&mut self, stamped: &Stamped<'_>, is_first: bool) {
        let (writer, first) = (stamped.writer, stamped.first);
        self.chains.insert(
            writer,
            Chain {
                first,
                head: stamped.link(),
                is_closed: false,
            },
        );
        if !is_first {
            self.find(Finding::OtherWriter(writer));
        }
        if first > 1 && is_first {
            self.find(Finding::BeginsWith(writer, first));
        } else if first > 1 {
            self.find(Finding::Gap(1, first - 1));
        } else if Link::start(writer).over(stamped.hashed) != stamped.hash {
            self.find(Finding::Changed(first));
        }
    }

    /// All that was found, and all chains.
    pub fn finish(mut self) -> (Vec<Found>, Vec<Chain>) {
        self.line = 0;
        for head in std::mem::take(&mut self.heads) {
            self.find(Finding::HeadMissing(head));
        }
        (self.found, self.chains.into_values().collect())
    }
}

/// What a writer tells of itself in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Torn,
    Dropped(u64),
    Closed,
}

impl Told {
    /// From a record without its stamp. What it tells stands behind the time, where nothing of a client's does.
    fn of(body: &[u8]) -> Told {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let rest = match text.strip_prefix("{\"time\":\"") {
            Some(rest) => rest
                .get(27..)
                .and_then(|it| it.strip_prefix("\",\"event\":\"")),
            None => text.get(27..).and_then(|it| it.strip_prefix(" event=\"")),
        };
        let Some((event, rest)) = rest.and_then(|it| it.split_once('"')) else {
            return Told::Nothing;
        };
        let value = rest.rsplit([':', '=']).next().unwrap_or_default();
        match event {
            event::CLOSED => Told::Closed,
            event::RESUMED if value == "true" => Told::Torn,
            event::DROPPED => value.parse().map_or(Told::Nothing, Told::Dropped),
            _ => Told::Nothing,
        }
    }
}

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenLogFault {
    /// It can't be read, or the records can't be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line.
    #[error("line {line}: {fault}")]
    Line {
        /// Which.
        line: u64,
        /// What is wrong with it.
        fault: OpenFault,
    },
}

/// Writes the records of a file: what is sealed opened, what is plain as it stands. A line that a crash tore is left
/// out.
pub fn open_log(
    mut bytes: impl BufRead,
    identity: &Identity,
    to: &mut impl Write,
) -> Result<(), OpenLogFault> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if bytes.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Some(whole) = line.strip_suffix(b"\n") else {
            break;
        };
        let body = Stamped::read(whole).map_or(whole, |it| it.body);
        match sealed::read(body) {
            Some((text, _)) => {
                let opened = sealed::opened(text, identity);
                let opened = opened.map_err(|fault| OpenLogFault::Line {
                    line: number,
                    fault,
                })?;
                to.write_all(&opened)?;
            }
            // Torn lines of sealed logs hold nothing to read.
            None if body.starts_with(b"{\"sealed\":") => {}
            None => to.write_all(&line)?,
        }
    }
    Ok(())
}
