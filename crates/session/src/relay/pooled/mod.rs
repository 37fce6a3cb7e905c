//! Owns the passage of frames from a client that shares server connections: as without a pooler,
//! but for the names of prepared statements, and with note of what is executed.
//!
//! Each step judges the frame at the front and does one thing: it lets the frame pass, perhaps under
//! another name, answers it in the server's stead, or puts a request of ours in front, after which
//! the frame is judged again.

mod act;
mod govern;
mod hold;
mod inspect;
mod parse;
mod query;
mod uses;
mod usual;

use super::Relayed;
use super::belt::Belt;
use super::to_server::judge;
use crate::client::ClientStream;
use crate::fault::Fault;
use crate::inspect::{Inspector, Protocol};
use crate::ledger::{Request, Status, Terms};
use crate::server::Server;
use crate::statements::{Ahead, Course, Name, Pooled, Promise};
use buf::Plain;
use wire::frame::Header;
use wire::from_client::tag;
use wire::run::bulk;

/// Frames from the client to the server, until input, room, or what can be known now ends.
pub(super) fn to_server(
    client: &mut ClientStream,
    server: &mut Server,
    input: &mut Plain,
    output: &mut Plain,
) -> Result<Relayed, Fault> {
    let ClientStream {
        pipeline_max,
        passing,
        pooled,
        ..
    } = client;
    let Some(pooled) = pooled else {
        return Ok(Relayed::Open);
    };
    if server.again.is_due() && pooled.is_between() && *passing == 0 {
        let mut bytes = server.again.take();
        let mut run = Run {
            sides: Sides { pooled, server },
            passing,
            belt: Belt::new(&mut bytes, output),
        };
        let result = run.frames(*pipeline_max);
        run.belt.flush();
        let is_done = bytes.is_empty();
        server.again.give_back(bytes);
        if result.is_err() || !is_done {
            return result;
        }
    }
    let mut run = Run {
        sides: Sides { pooled, server },
        passing,
        belt: Belt::new(input, output),
    };
    let result = run.frames(*pipeline_max);
    run.belt.flush();
    result
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Something: the next may follow.
    Go,
    /// Nothing: more input, more room or an answer has to come first.
    Stop,
}

/// What is known of both.
struct Sides<'a> {
    pooled: &'a mut Pooled,
    server: &'a mut Server,
}

impl Sides<'_> {
    /// True if the server may read a text otherwise now than the client's dialect says.
    #[inline]
    fn reads_otherwise(&self) -> bool {
        let server = &self.server;
        let batch = server.statements.batch();
        server
            .lease
            .reads_otherwise(batch, || server.ledger.is_one_batch())
    }

    /// Keeps the batch that begins at the front of `bytes`, to be sent again if its first request
    /// meets a stale statement: only outside a transaction, and before anything was executed. Who keeps its
    /// connection sees what the server says of its own statements.
    #[inline]
    fn begin(&mut self, name: &[u8], bytes: &[u8]) {
        let Sides { pooled, server } = self;
        if std::mem::replace(&mut pooled.begun, true) || pooled.is_alone() {
            return;
        }
        if server.status == Status::Idle && server.ledger.is_one_batch() && !server.again.is_due() {
            let parsed = pooled
                .parsed
                .is_some_and(|it| it.bytes() == Name::cut(name));
            server.again.keep(bytes, parsed);
        }
    }
}

struct Run<'a> {
    sides: Sides<'a>,
    /// Bytes of the present frame that pass without being looked at.
    passing: &'a mut usize,
    belt: Belt<'a>,
}

impl Run<'_> {
    /// Room that every step has: for a frame of ours, or the front of one that is renamed.
    const ROOM_MIN: usize = 256;

    fn frames(&mut self, pipeline_max: usize) -> Result<Relayed, Fault> {
        loop {
            if *self.passing > 0 {
                *self.passing -= self.belt.pass(*self.passing);
                if *self.passing > 0 {
                    return Ok(Relayed::Open);
                }
            }
            let step = if self.sides.pooled.is_between() {
                let has_room = self.belt.room() >= Self::ROOM_MIN;
                if has_room && self.fails_now() {
                    continue;
                }
                let Some(header) = Header::peek(self.belt.rest()) else {
                    return Ok(Relayed::Open);
                };
                if !has_room || self.sides.server.ledger.len() >= pipeline_max {
                    return Ok(Relayed::Open);
                }
                let owed = !self.sides.server.ledger.is_empty();
                if self.sides.pooled.turns.holds(header.tag, owed) {
                    return Ok(Relayed::Open);
                }
                if header.tag == tag::TERMINATE {
                    judge(header)?;
                    return Ok(Relayed::Terminated);
                }
                let usual = match header.tag {
                    tag::BIND => self.usual_batch(pipeline_max),
                    tag::PARSE => self.usual_parse(pipeline_max),
                    _ => None,
                };
                match usual {
                    Some(step) => step,
                    None => self.frame(header)?,
                }
            } else {
                self.course()?
            };
            if step == Step::Stop {
                return Ok(Relayed::Open);
            }
        }
    }

    fn more(&self, ended: bool) -> Step {
        match ended {
            true => Step::Go,
            false => Step::Stop,
        }
    }

    /// The frame at the front.
    #[inline]
    fn frame(&mut self, header: Header) -> Result<Step, Fault> {
        let ahead = std::mem::replace(&mut self.sides.pooled.ahead, Ahead::Unseen);
        if header.tag == tag::COPY_DATA {
            let run = bulk(self.belt.rest(), tag::COPY_DATA);
            if run.bytes > 0 {
                if let Some(inspector) = &mut self.sides.server.inspector {
                    inspector.copied(run.bytes);
                }
                if let Some(governor) = self.sides.pooled.governor() {
                    governor.copied(run.bytes);
                }
                let passed = self.belt.pass(run.bytes);
                *self.passing = run.bytes - passed;
                return Ok(Step::Go);
            }
        }
        judge(header)?;
        if self.sides.is_governed()
            && let Some(step) = self.held_up(header)
        {
            return Ok(step);
        }
        if self.sides.server.statements.is_full() {
            return Ok(self.stall());
        }
        let skips = self.sides.server.ledger.skips();
        match header.tag {
            b'B' if !skips => self.bind(header),
            b'E' if !skips => Ok(self.execute(header)),
            b'S' => {
                self.pass(header, Request::Sync);
                self.end_batch();
                self.sides.pooled.drop_hold();
                Ok(Step::Go)
            }
            b'P' if !skips => self.parse(header),
            b'D' if !skips => self.describe(header),
            b'C' if !skips => self.close(header),
            b'Q' if !skips => {
                let asked = self.asked();
                let step = self.query(header, ahead)?;
                self.sent(asked, None);
                Ok(step)
            }
            b'F' => {
                if !skips && let Some(step) = self.govern_call(header) {
                    return Ok(step);
                }
                // By its oid: who knows what it does.
                let batch = self.sides.server.statements.batch();
                self.sides.server.lease.note_call(batch);
                let asked = self.asked();
                self.pass(header, Request::FunctionCall);
                if let Some(inspector) = self.watches(asked) {
                    inspector.unread("function call", Protocol::Function, header.total());
                }
                self.sent(asked, None);
                self.end_batch();
                Ok(Step::Go)
            }
            // What the server skips is owed nothing, whatever it is.
            b'P' | b'B' | b'D' | b'E' | b'C' => Ok(self.pass(header, Request::Close)),
            b'Q' => Ok(self.pass(header, Request::Query)),
            b'c' | b'f' => Ok(self.pass(header, Request::CopyEnd)),
            b'd' => {
                if let Some(inspector) = &mut self.sides.server.inspector {
                    inspector.copied(header.total());
                }
                Ok(self.pass(header, Request::Nothing))
            }
            _ => Ok(self.pass(header, Request::Nothing)),
        }
    }

    #[inline]
    fn end_batch(&mut self) {
        self.sides.pooled.end_batch();
        self.sides.server.statements.end_batch();
    }

    /// Lets the frame at the front pass as it is.
    #[inline]
    fn pass(&mut self, header: Header, request: Request) -> Step {
        self.request(request);
        *self.passing = header.total();
        Step::Go
    }

    /// The statements that went to the server so far.
    #[inline]
    fn asked(&self) -> u64 {
        self.sides.server.ledger.statements_asked()
    }

    /// Who watches, if one more went there than so many.
    #[inline]
    fn watches(&mut self, asked: u64) -> Option<&mut Inspector> {
        let server = &mut self.sides.server;
        let inspector = server.inspector.as_deref_mut()?;
        (server.ledger.statements_asked() > asked).then_some(inspector)
    }

    /// Notes a request of the client's that goes to the server.
    #[inline]
    fn request(&mut self, request: Request) {
        self.sides.pooled.flushed = false;
        self.sides.server.ledger.request(request);
    }

    /// Notes a request that goes to the server, or is answered in its stead.
    #[inline]
    fn owe(&mut self, request: Request, terms: Terms, promise: Option<Promise>) {
        self.sides.pooled.flushed = false;
        let promises = promise.is_some();
        let owed = self.sides.server.ledger.owe(
            request,
            Terms {
                promise: promises,
                ..terms
            },
        );
        if let Some(promise) = promise.filter(|_| owed) {
            let private = self.sides.reads_otherwise();
            self.sides.server.statements.promise(promise, private);
        }
    }

    /// Nothing can be done before answers have come: the server is asked for those it has.
    fn stall(&mut self) -> Step {
        const FLUSH: &[u8] = b"H\0\0\0\x04";
        if !self.sides.pooled.flushed {
            self.sides.pooled.flushed = true;
            self.belt.put(FLUSH);
        }
        Step::Stop
    }

    /// What is under way beside frames that pass as they came.
    fn course(&mut self) -> Result<Step, Fault> {
        if let Some(mut sending) = self.sides.pooled.sending.take() {
            let rest = &sending.statement.body()[sending.at..];
            let count = rest.len().min(self.belt.room());
            self.belt.put(&rest[..count]);
            sending.at += count;
            let ended = count == rest.len();
            if !ended {
                self.sides.pooled.sending = Some(sending);
            }
            return Ok(self.more(ended));
        }
        match std::mem::replace(&mut self.sides.pooled.course, Course::None) {
            Course::None => Ok(Step::Go),
            Course::Dropping(mut count) => {
                count -= self.belt.drop(count);
                if count > 0 {
                    self.sides.pooled.course = Course::Dropping(count);
                }
                Ok(self.more(count == 0))
            }
            Course::Passing(mut frame) => {
                self.belt.pour(&mut frame);
                let ended = frame.is_empty();
                if !ended {
                    self.sides.pooled.course = Course::Passing(frame);
                }
                Ok(self.more(ended))
            }
            Course::Gathering(frame) => self.gathered(frame),
        }
    }
}
