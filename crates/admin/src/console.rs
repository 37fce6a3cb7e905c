//! Owns the conversation with one client of the console: its frames in, our messages out, one thing at
//! a time.
//!
//! [`Console::step`] is called again whenever input came, output was written, or a question was answered.
//! What it can't know it asks: it gives the same question until that is answered by
//! [`shown`](Console::shown) or [`carried`](Console::carried).

use crate::command::{Command, Statement, understand};
use crate::datum::Format;
use crate::outcome::{Complaint, NOT_IN_STATE, Outcome, tag};
use crate::portal::{Portal, Prepared, Progress};
use crate::reply::{Formats, Reply, put_columns, put_error, put_ready};
use crate::right::{Right, needed};
use crate::tables::{Snapshot, Table};
use buf::{Full, Plain};
use wire::frame::{self, FrameFault};
use wire::from_client::{self, Bind, Close, Describe, Execute, Parse, Query, Target, tag as tags};
use wire::from_server::{
    BindComplete, CloseComplete, NoData, ParameterDescription, ParseComplete, PortalSuspended,
};
use wire::{Int32s, Message, MessageFault, Sqlstate, Text};

/// Room that the output must have before anything but rows is written: more than the longest of
/// these messages takes.
const ROOM: usize = 4096;

/// The greatest length of a message: a statement is short.
const LEN_MAX: u32 = 16_384;

/// What has to happen before the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// More input.
    Read,
    /// The output has to leave.
    Write,
    /// An answer to [`Console::shown`]: this table.
    Show(Table),
    /// An answer to [`Console::carried`]: the outcome of this.
    Carry(Command),
    /// Nothing: the client said goodbye.
    End,
}

/// The client broke the protocol; nothing it sends can be understood from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A frame that no client may send here.
    #[error(transparent)]
    Frame(FrameFault),
    /// A message that is not laid out as it must be.
    #[error(transparent)]
    Message(MessageFault),
    /// The output is too small.
    #[error("a message takes {offered} bytes, the output has {room}")]
    Room {
        /// Bytes of the message.
        offered: usize,
        /// Bytes of an empty output.
        room: usize,
    },
}

impl From<MessageFault> for Fault {
    fn from(fault: MessageFault) -> Self {
        Self::Message(fault)
    }
}

/// A logged-in client of the console.
#[derive(Debug)]
pub struct Console {
    right: Right,
    prepared: Prepared,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The next message is awaited.
    Reading,
    /// An error was sent: everything is skipped up to the next Sync.
    Skipping,
    /// The shell is to show a table.
    Showing(Table, Run),
    /// The shell is to carry out a command.
    Carrying(Command, Run),
    /// The columns of a reply are next; it was asked for by Query.
    Describing(Reply),
    /// A reply is on its way, from this row on.
    Replying(Reply, usize, Run),
    /// An error is on its way.
    Failing(Complaint, Run),
    /// The client said goodbye.
    Ended,
}

/// How a statement came, and so how its reply goes.
#[derive(Debug)]
enum Run {
    /// By Query: columns in front, ReadyForQuery behind.
    Simple,
    /// By Execute.
    Portal {
        name: Vec<u8>,
        formats: Formats,
        /// The row before which it is suspended.
        until: Option<usize>,
    },
}

/// Why a message was not obeyed.
enum Trouble {
    /// The client reads why, and goes on.
    Complaint(Complaint),
    /// The conversation ends.
    Fault(Fault),
}

impl From<Complaint> for Trouble {
    fn from(complaint: Complaint) -> Self {
        Self::Complaint(complaint)
    }
}

impl From<MessageFault> for Trouble {
    fn from(fault: MessageFault) -> Self {
        Self::Fault(Fault::Message(fault))
    }
}

/// There is [room](ROOM) for everything that is written without asking.
impl From<Full> for Trouble {
    fn from(full: Full) -> Self {
        Self::Fault(Fault::from(full))
    }
}

impl From<Full> for Fault {
    fn from(full: Full) -> Self {
        let Full { offered, room } = full;
        Self::Room { offered, room }
    }
}

impl Console {
    /// The conversation with somebody who may do so much.
    pub fn new(right: Right) -> Console {
        Console {
            right,
            prepared: Prepared::default(),
            state: State::Reading,
        }
    }

    /// Goes on as far as it can.
    pub fn step(&mut self, input: &mut Plain, output: &mut Plain) -> Result<Step, Fault> {
        loop {
            match &self.state {
                State::Ended => return Ok(Step::End),
                State::Showing(table, _) => return Ok(Step::Show(*table)),
                State::Carrying(command, _) => return Ok(Step::Carry(command.clone())),
                State::Reading
                | State::Skipping
                | State::Describing(_)
                | State::Replying(..)
                | State::Failing(..) => {}
            }
            if output.room() < ROOM && !output.is_empty() {
                return Ok(Step::Write);
            }
            match std::mem::replace(&mut self.state, State::Reading) {
                State::Describing(reply) => {
                    let columns = reply.columns();
                    if !columns.is_empty() {
                        put_columns(&columns, &Formats::All(Format::Text), output)?;
                    }
                    self.state = State::Replying(reply, 0, Run::Simple);
                }
                State::Replying(reply, at, run) => {
                    if self.reply(reply, at, run, output)? {
                        return Ok(Step::Write);
                    }
                }
                State::Failing(complaint, run) => self.fail(&complaint, &run, output)?,
                state => {
                    self.state = state;
                    if !self.read(input, output)? {
                        return Ok(Step::Read);
                    }
                }
            }
        }
    }

    /// Answers [`Step::Show`].
    pub fn shown(&mut self, snapshot: Snapshot) {
        self.state = match std::mem::replace(&mut self.state, State::Reading) {
            State::Showing(table, run) if table == snapshot.table() => {
                answer(Reply::Table(snapshot), run)
            }
            State::Showing(_, run) => {
                let text = "another table was shown than the one asked for";
                State::Failing(Complaint::new(Sqlstate::INTERNAL_ERROR, text), run)
            }
            other => other,
        };
    }

    /// Answers [`Step::Carry`].
    pub fn carried(&mut self, outcome: Outcome) {
        self.state = match (std::mem::replace(&mut self.state, State::Reading), outcome) {
            (State::Carrying(command, run), Outcome::Done) => {
                answer(Reply::Done(tag(&command)), run)
            }
            (State::Carrying(_, run), Outcome::Refused(refusal)) => {
                State::Failing(Complaint::refused(&refusal), run)
            }
            (other, _) => other,
        };
    }

    /// Takes one message off the input; false if it isn't here yet.
    fn read(&mut self, input: &mut Plain, output: &mut Plain) -> Result<bool, Fault> {
        let Some(frame) = frame::whole(input.bytes(), limit).map_err(Fault::Frame)? else {
            return Ok(false);
        };
        let ends_skipping = matches!(frame.tag, tags::SYNC | tags::TERMINATE);
        if !matches!(self.state, State::Skipping) || ends_skipping {
            match self.obey(frame.tag, frame.body, output) {
                Ok(()) => {}
                Err(Trouble::Complaint(complaint)) => {
                    put_error(&complaint, output)?;
                    self.state = State::Skipping;
                }
                Err(Trouble::Fault(fault)) => return Err(fault),
            }
        }
        let total = frame.total;
        input.consume(total);
        Ok(true)
    }

    fn obey(&mut self, tag: u8, body: &[u8], output: &mut Plain) -> Result<(), Trouble> {
        match tag {
            tags::QUERY => self.query(&Query::decode(body)?)?,
            tags::PARSE => {
                let message = Parse::decode(body)?;
                if !message.types.is_empty() {
                    return Err(no_parameters().into());
                }
                let statement = statement(message.sql)?;
                self.prepared.parse(&message, statement)?;
                ParseComplete.encode(output)?;
            }
            tags::BIND => {
                self.prepared.bind(&Bind::decode(body)?)?;
                BindComplete.encode(output)?;
            }
            tags::DESCRIBE => self.describe(&Describe::decode(body)?.target, output)?,
            tags::EXECUTE => self.execute(&Execute::decode(body)?)?,
            tags::CLOSE => {
                self.prepared.close(&Close::decode(body)?.target);
                CloseComplete.encode(output)?;
            }
            tags::SYNC => {
                from_client::Sync::decode(body)?;
                self.prepared.on_sync();
                self.state = State::Reading;
                put_ready(output)?;
            }
            tags::TERMINATE => self.state = State::Ended,
            tags::FUNCTION_CALL => {
                let text = "the console has no functions to call";
                let complaint = Complaint::new(Sqlstate::FEATURE_NOT_SUPPORTED, text);
                self.state = State::Failing(complaint, Run::Simple);
            }
            // Flush: nothing is ever held back. Copies: as PostgreSQL, which ignores what is left of
            // one that has failed.
            _ => {}
        }
        Ok(())
    }

    fn query(&mut self, message: &Query<'_>) -> Result<(), Trouble> {
        self.prepared.on_query();
        self.state = match statement(message.sql).and_then(|it| self.permit(it)) {
            Ok(statement) => begin(statement, Run::Simple),
            Err(complaint) => State::Failing(complaint, Run::Simple),
        };
        Ok(())
    }

    fn describe(&mut self, target: &Target<'_>, output: &mut Plain) -> Result<(), Trouble> {
        let (columns, formats) = self.prepared.describe(target)?;
        if matches!(target, Target::Statement(_)) {
            let types = Int32s::default();
            ParameterDescription { types }.encode(output)?;
        }
        match columns.as_slice() {
            [] => NoData.encode(output)?,
            columns => put_columns(columns, &formats, output)?,
        }
        Ok(())
    }

    fn execute(&mut self, message: &Execute<'_>) -> Result<(), Trouble> {
        let Portal { formats, progress } = self.prepared.take(&message.portal)?;
        let limit = usize::try_from(message.rows_max).ok().filter(|it| *it > 0);
        let run = |from: usize| Run::Portal {
            name: message.portal.to_vec(),
            formats,
            until: limit.map(|it| from.saturating_add(it)),
        };
        self.state = match progress {
            Progress::Ready(statement) => begin(self.permit(statement)?, run(0)),
            Progress::Open(reply, at) => State::Replying(reply, at, run(at)),
            Progress::Over => {
                let text = "portal cannot be run: it was run to its end";
                return Err(Complaint::new(NOT_IN_STATE, text).into());
            }
        };
        Ok(())
    }

    fn permit(&self, statement: Statement) -> Result<Statement, Complaint> {
        match self.right >= needed(&statement) {
            true => Ok(statement),
            false => Err(Complaint::no_right()),
        }
    }

    /// Writes as much of a reply as there is room for; true if the output has to leave first.
    fn reply(
        &mut self,
        reply: Reply,
        from: usize,
        run: Run,
        output: &mut Plain,
    ) -> Result<bool, Fault> {
        let all = Formats::All(Format::Text);
        let (formats, until) = match &run {
            Run::Simple => (&all, None),
            Run::Portal { formats, until, .. } => (formats, *until),
        };
        let end = reply.len().min(until.unwrap_or(usize::MAX));
        let mut at = from;
        while at < end {
            match reply.put_row(at, formats, output) {
                Ok(()) => at += 1,
                Err(full) if output.is_empty() => return Err(full.into()),
                Err(_) => break,
            }
        }
        if at < end || output.room() < ROOM && !output.is_empty() {
            self.state = State::Replying(reply, at, run);
            return Ok(true);
        }
        match run {
            Run::Portal {
                name,
                formats,
                until,
            } if until == Some(at) => {
                let progress = Progress::Open(reply, at);
                self.prepared.put_back(name, Portal { formats, progress });
                PortalSuspended.encode(output)?;
            }
            Run::Portal { .. } => reply.put_end(output)?,
            Run::Simple => {
                reply.put_end(output)?;
                put_ready(output)?;
            }
        }
        Ok(false)
    }

    fn fail(&mut self, complaint: &Complaint, run: &Run, output: &mut Plain) -> Result<(), Fault> {
        put_error(complaint, output)?;
        match run {
            Run::Simple => put_ready(output)?,
            Run::Portal { .. } => self.state = State::Skipping,
        }
        Ok(())
    }
}

/// The first state of a statement that may be run.
fn begin(statement: Statement, run: Run) -> State {
    match statement {
        Statement::Show(table) => State::Showing(table, run),
        Statement::Command(command) => State::Carrying(command, run),
        Statement::ShowFaked(it) => answer(Reply::Faked(it.name, it.value), run),
        Statement::Empty => answer(Reply::Nothing, run),
        Statement::Help => answer(Reply::Help, run),
        Statement::SetFaked => answer(Reply::Ignored, run),
    }
}

/// The first state of a reply: who came by Query is told the columns first.
fn answer(reply: Reply, run: Run) -> State {
    match run {
        Run::Simple => State::Describing(reply),
        run @ Run::Portal { .. } => State::Replying(reply, 0, run),
    }
}

/// What a text says. Names are UTF-8, as the welcome says.
fn statement(sql: Text<'_>) -> Result<Statement, Complaint> {
    let Some(text) = sql.utf8() else {
        let sqlstate = Sqlstate::new("22021");
        return Err(Complaint::new(sqlstate, "the statement is not UTF-8"));
    };
    understand(text).map_err(|why| Complaint::misunderstood(why, text))
}

fn no_parameters() -> Complaint {
    let text = "the console's statements have no parameters";
    Complaint::new(Sqlstate::FEATURE_NOT_SUPPORTED, text)
}

fn limit(tag: u8) -> u32 {
    from_client::limit(tag).map_or(0, |limit| limit.min(LEN_MAX))
}
