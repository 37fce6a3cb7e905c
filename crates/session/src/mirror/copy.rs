//! Owns the bytes of a copy: a request that only reads, as it can be sent on a connection that knows nothing of the
//! client.
//!
//! A Query goes as it came. Of a batch, each statement gets a name of the copy's own, with a Close of what an earlier
//! copy had under it in front; one that the client prepared before gets its Parse, from what is known of it here. Flush
//! and the closing of statements are left out.

use crate::statements::{Pooled, Statement};
use crate::wishes::Wishes;
use buf::{Full, Plain};
use wire::frame::{HEADER, Header};
use wire::from_client::{Bind, BindFront, Close, Describe, Parse, Target, tag};
use wire::{Message, Text};

/// Statements that a batch may have.
const STATEMENTS_MAX: usize = 100;

/// What a session must not carry to a mirror: it would take back that copies can't write.
const WRITES: &str = "default_transaction_read_only";

/// Whether a session with these settings may be copied.
pub fn may_carry(wishes: &Wishes) -> bool {
    wishes.value(WRITES).is_none()
}

/// Appends the copy of the request at the front of `input`, which [`crate::routing::Router`] has found to read only.
/// False, and nothing of use appended, if there is none: it is not all here, has no room, executes nothing, or can't be
/// told from what is known.
pub fn copy(input: &[u8], pooled: &Pooled, output: &mut Plain) -> bool {
    let mut batch = Batch {
        pooled,
        output,
        named: Vec::new(),
        statements: 0,
        executes: false,
    };
    let mut rest = input;
    loop {
        let Some(header) = Header::peek(rest).filter(|it| it.total() <= rest.len()) else {
            return false;
        };
        let (frame, behind) = rest.split_at(header.total());
        match batch.frame(header.tag, frame) {
            Some(Step::Next) => rest = behind,
            Some(Step::End) => return true,
            None => return false,
        }
    }
}

/// The texts of a copy, one after the other.
pub fn texts(copy: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = copy;
    let frames = std::iter::from_fn(move || {
        let header = Header::peek(rest)?;
        let body = rest.get(HEADER..header.total())?;
        rest = &rest[header.total()..];
        Some((header.tag, body))
    });
    frames.filter_map(|(tag, body)| match tag {
        tag::QUERY => body.strip_suffix(b"\0"),
        tag::PARSE => Parse::decode(body).ok().map(|it| it.sql.bytes()),
        _ => None,
    })
}

enum Step {
    Next,
    End,
}

/// A copy in the making.
struct Batch<'a> {
    pooled: &'a Pooled,
    output: &'a mut Plain,
    /// The client's names in this batch, the latest last, and the numbers of the statements that they stand for; none
    /// after a Close.
    named: Vec<(&'a [u8], Option<usize>)>,
    statements: usize,
    executes: bool,
}

impl<'a> Batch<'a> {
    /// Appends what becomes of a frame.
    fn frame<'f: 'a>(&mut self, tag: u8, frame: &'f [u8]) -> Option<Step> {
        let body = &frame[HEADER..];
        match tag {
            tag::QUERY => {
                // In the middle of a batch it would end that.
                if self.statements > 0 || self.executes {
                    return None;
                }
                self.output.push(frame).ok()?;
                return Some(Step::End);
            }
            tag::SYNC => {
                if !self.executes {
                    return None;
                }
                self.output.push(frame).ok()?;
                return Some(Step::End);
            }
            tag::PARSE => self.parse(&Parse::decode(body).ok()?)?,
            tag::BIND => self.bind(&BindFront::decode(body)?, &Bind::decode(body).ok()?)?,
            tag::EXECUTE => {
                self.executes = true;
                self.output.push(frame).ok()?;
            }
            tag::DESCRIBE => match Describe::decode(body).ok()?.target {
                Target::Portal(_) => self.output.push(frame).ok()?,
                Target::Statement(name) => {
                    let name = self.statement(name.bytes())?;
                    let target = Target::Statement(name.text());
                    Describe { target }.encode(self.output).ok()?;
                }
            },
            tag::CLOSE => match Close::decode(body).ok()?.target {
                Target::Portal(_) => self.output.push(frame).ok()?,
                Target::Statement(name) => self.named.push((name.bytes(), None)),
            },
            tag::FLUSH => {}
            _ => return None,
        }
        Some(Step::Next)
    }

    fn parse(&mut self, parse: &Parse<'a>) -> Option<()> {
        let name = parse.statement.bytes();
        // A second one of a name fails at the client's server, and would not at the mirror.
        let is_new = match self.latest(name) {
            Some(number) => number.is_none(),
            None => self.pooled.statement_of(name).is_none(),
        };
        if !name.is_empty() && !is_new {
            return None;
        }
        let own = self.define(name)?;
        let statement = own.text();
        Parse {
            statement,
            ..*parse
        }
        .encode(self.output)
        .ok()
    }

    fn bind(&mut self, front: &BindFront<'a>, bind: &Bind<'a>) -> Option<()> {
        let own = self.statement(front.statement.bytes())?;
        let statement = own.text();
        Bind { statement, ..*bind }.encode(self.output).ok()
    }

    /// The copy's name of a statement, which is parsed first if the client had it before.
    fn statement(&mut self, name: &'a [u8]) -> Option<Own> {
        if let Some(number) = self.latest(name) {
            return number.map(Own::of);
        }
        if name.is_empty() {
            return None;
        }
        let pooled = self.pooled;
        let statement = pooled.statement_of(name)?;
        let own = self.define(name)?;
        put(statement, own, self.output).ok()?;
        Some(own)
    }

    /// What this batch has made of a name, if anything.
    fn latest(&self, name: &[u8]) -> Option<Option<usize>> {
        let mut names = self.named.iter().rev();
        names.find(|it| it.0 == name).map(|it| it.1)
    }

    /// A name for one more statement, which is free at the mirror.
    fn define(&mut self, name: &'a [u8]) -> Option<Own> {
        let number = self.statements;
        if number >= STATEMENTS_MAX {
            return None;
        }
        self.statements += 1;
        self.named.push((name, Some(number)));
        let own = Own::of(number);
        let target = Target::Statement(own.text());
        Close { target }.encode(self.output).ok()?;
        Some(own)
    }
}

/// Appends the Parse of a statement that is known here.
fn put(statement: &Statement, own: Own, output: &mut Plain) -> Result<(), Full> {
    let body = statement.body();
    let header = Header {
        tag: tag::PARSE,
        len: (4 + own.0.len() + 1 + body.len()) as u32,
    };
    output.push(&header.bytes())?;
    output.push(&own.0)?;
    output.push(b"\0")?;
    output.push(body)
}

/// A name that copies use.
#[derive(Debug, Clone, Copy)]
struct Own([u8; 3]);

impl Own {
    fn of(number: usize) -> Own {
        let digit = |it: usize| b'0' + (it % 10) as u8;
        Own([b'm', digit(number / 10), digit(number)])
    }

    fn text(&self) -> Text<'_> {
        Text::cut(&self.0)
    }
}

#[cfg(test)]
mod tests;
