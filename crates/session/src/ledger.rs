//! Owns what a server still owes: one debt for each request sent, settled by its replies in order.
//!
//! Takes the tag of each request (with what decides its reply) and of each reply; gives whether
//! the reply was due and whose it is: the client's, or ours, for requests that we put between the
//! client's own. What was to become true with a reply is a promise: the ledger says in order which
//! ones were kept and which broken. It never sees payload. Copy, a failed pipeline and skip-until-Sync are facts
//! of this queue, not booleans elsewhere. Source: PostgreSQL manual, "Message Flow"; copy-in and
//! the Sync that it swallows: `postgres.c`, `copyfromparse.c`.

mod terms;

use std::collections::VecDeque;
use terms::{Debt, Entry, Stream, debt};
pub use terms::{Fate, OutOfTurn, Outcome, Request, Status, Tally, Terms};

/// The queue of debts of one server connection.
#[derive(Debug)]
pub struct Ledger {
    debts: VecDeque<Entry>,
    mix: Mix,
    stream: Stream,
    outcome: Outcome,
    /// Syncs sent while a copy-in was open: owed only if the server had left it by then.
    unsure: u32,
    batch: Batch,
    tally: Tally,
    executed: Executed,
    /// ParseComplete is ours to say in front of all that is owed.
    says_parsed: bool,
}

/// The client's statements so far: Query, Execute and FunctionCall that went to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Executed {
    asked: u64,
    ended: u64,
}

/// Whether the debts are of one kind. Most queues are, and of those nothing else needs to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mix {
    /// All are the client's own requests, passed on, and none ends a copy.
    Plain,
    /// There may be others, or may have been since the queue was last empty.
    Mixed,
}

/// Whether the last request of the extended protocol has been followed by its Sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    Closed,
    /// What it did is undone if the client leaves now.
    Open,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger::new()
    }
}

impl Ledger {
    /// An empty ledger: the state after ReadyForQuery.
    pub fn new() -> Ledger {
        Ledger {
            debts: VecDeque::new(),
            mix: Mix::Plain,
            stream: Stream::None,
            outcome: Outcome::default(),
            unsure: 0,
            batch: Batch::Closed,
            tally: Tally::default(),
            executed: Executed::default(),
            says_parsed: false,
        }
    }

    /// The client's statements that went to the server so far.
    #[inline]
    pub fn statements_asked(&self) -> u64 {
        self.executed.asked
    }

    /// Those of them that are over: answered, skipped or taken back. They end in the order in which they were
    /// asked for.
    #[inline]
    pub fn statements_ended(&self) -> u64 {
        self.executed.ended
    }

    /// True if the oldest debt is that of a statement of the client's.
    #[inline]
    pub fn statement_due(&self) -> bool {
        self.debts.front().is_some_and(Entry::is_statement)
    }

    /// What was prepared and bound so far.
    #[inline]
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// True if the server owes nothing, not even perhaps.
    pub fn is_settled(&self) -> bool {
        self.debts.is_empty()
            && self.stream == Stream::None
            && self.unsure == 0
            && !self.says_parsed
    }

    /// True if nothing that was sent is still without its end: no debt, and no batch of the extended
    /// protocol without its Sync. The server would undo such a batch when its client leaves.
    pub fn is_closed(&self) -> bool {
        self.is_settled() && self.batch == Batch::Closed
    }

    /// True if all that is owed will come without anything more from the client, and nothing is left open
    /// then.
    pub fn ends_by_itself(&self) -> bool {
        let open = matches!(self.stream, Stream::In | Stream::InEnded | Stream::Both);
        self.batch == Batch::Closed && self.unsure == 0 && !open
    }

    /// True if the server does nothing until it hears from the client: nothing is owed, or it reads a
    /// copy, or skips up to a Sync.
    pub fn awaits_client(&self) -> bool {
        let reads = matches!(self.stream, Stream::In | Stream::Both | Stream::Skip);
        self.is_settled() || reads
    }

    /// Number of debts; bounded by the caller, which stops reading requests at its limit.
    pub fn len(&self) -> usize {
        self.debts.len()
    }

    /// True without debts.
    pub fn is_empty(&self) -> bool {
        self.debts.is_empty()
    }

    /// Notes a request of the client's that goes to the server.
    #[inline]
    pub fn request(&mut self, request: Request) {
        let debt = match (self.stream, request) {
            (Stream::None, Request::Bind) => {
                self.tally.binds += 1;
                Debt::Bind
            }
            (Stream::None, Request::DescribePortal) => Debt::DescribePortal,
            (Stream::None, Request::Execute) => Debt::Execute,
            _ => {
                self.owe(request, Terms::FORWARD);
                return;
            }
        };
        self.batch = Batch::Open;
        self.executed.asked += u64::from(debt == Debt::Execute);
        self.debts.push_back(Entry {
            debt,
            terms: Terms::FORWARD,
        });
    }

    /// Notes a request; false if the server skips it, as it does with all that follows a failed one
    /// up to the next Sync: then nothing is owed, nor said, and what it promised is void.
    #[inline]
    pub fn owe(&mut self, request: Request, terms: Terms) -> bool {
        match request {
            Request::Sync | Request::Query | Request::FunctionCall => self.batch = Batch::Closed,
            Request::CopyEnd | Request::Nothing => {}
            Request::Parse => {
                self.batch = Batch::Open;
                self.tally.parse(terms.fate);
            }
            Request::Bind => {
                self.batch = Batch::Open;
                self.tally.binds += 1;
            }
            _ => self.batch = Batch::Open,
        }
        if self.stream == Stream::None && !matches!(request, Request::CopyEnd | Request::Nothing) {
            self.push(debt(request), terms);
            return true;
        }
        match (self.stream, request) {
            (_, Request::Nothing) => {}
            (Stream::In, Request::Sync) => self.unsure = self.unsure.saturating_add(1),
            (Stream::None, Request::CopyEnd) if !self.debts.is_empty() => {
                self.push(Debt::CopyEnd, terms);
            }
            // Not of the copy that is open: a request was sent behind that one.
            (_, Request::CopyEnd) if self.debts.len() > 1 => self.push(Debt::CopyEnd, terms),
            (Stream::In, Request::CopyEnd) => self.stream = Stream::InEnded,
            (_, Request::CopyEnd) => {}
            (Stream::Skip, Request::Sync) => {
                self.stream = Stream::None;
                self.push(Debt::Sync, terms);
            }
            (Stream::Skip, _) => return false,
            (_, request) => self.push(debt(request), terms),
        }
        true
    }

    /// Notes a Parse that is answered here, in front of a batch of which the server has to answer the rest: what is owed
    /// then is the client's own as before. For a ledger that owes nothing.
    #[inline]
    pub(crate) fn say_parsed(&mut self) {
        debug_assert!(self.is_settled());
        self.tally.parse(Fate::Say);
        self.says_parsed = true;
    }

    #[inline]
    fn push(&mut self, debt: Debt, terms: Terms) {
        if terms != Terms::FORWARD || debt == Debt::CopyEnd {
            self.mix = Mix::Mixed;
        }
        let entry = Entry { debt, terms };
        self.executed.asked += u64::from(entry.is_statement());
        self.debts.push_back(entry);
    }

    /// Takes the type of the reply that is ours to make now, if the oldest debt is such.
    #[inline]
    pub fn take_said(&mut self) -> Option<u8> {
        if std::mem::take(&mut self.says_parsed) {
            return Some(b'1');
        }
        let head = self.debts.front()?;
        if head.terms.fate != Fate::Say || self.stream != Stream::None {
            return None;
        }
        let tag = match head.debt {
            Debt::Parse => b'1',
            Debt::Bind => b'2',
            Debt::Close => b'3',
            // Nothing else is ever said.
            _ => return None,
        };
        self.pop();
        Some(tag)
    }

    /// True if [`take_said`](Self::take_said) has something to give.
    #[inline]
    pub fn has_said(&self) -> bool {
        if self.mix == Mix::Plain || self.says_parsed {
            return self.says_parsed;
        }
        let head = self.debts.front();
        self.stream == Stream::None && head.is_some_and(|it| it.terms.fate == Fate::Say)
    }

    /// True if [`take_said`](Self::take_said) has something that can't wait for the server's next words: behind
    /// a Sync those are sure to come, and before one the client may have asked for it with Flush.
    #[inline]
    pub fn must_say(&self) -> bool {
        self.has_said() && self.batch == Batch::Open
    }

    /// True if something became of a promise since that was last taken.
    #[inline]
    pub fn has_outcome(&self) -> bool {
        self.outcome.kept | self.outcome.failed | self.outcome.skipped != 0
    }

    /// What became of promises since this was last asked. To be asked behind every reply.
    #[inline]
    pub fn take_outcome(&mut self) -> Outcome {
        std::mem::take(&mut self.outcome)
    }

    /// True if all that is sent now is skipped by the server, up to a Sync.
    #[inline]
    pub fn skips(&self) -> bool {
        self.stream == Stream::Skip
    }

    /// True if nothing is owed to an earlier batch of the client's, so that the last status is the present
    /// one unless this batch changes it. False also where that would take long to find out.
    pub fn is_one_batch(&self) -> bool {
        const LOOK_BACK_MAX: usize = 64;
        let ends = |it: &Entry| {
            let is_ours = it.terms.fate == Fate::Swallow;
            !is_ours
                && matches!(
                    it.debt,
                    Debt::Asked
                        | Debt::Query
                        | Debt::QueryRows
                        | Debt::Ready
                        | Debt::Sync
                        | Debt::FunctionCall
                )
        };
        self.unsure == 0 && self.debts.len() <= LOOK_BACK_MAX && !self.debts.iter().any(ends)
    }

    /// Takes back a batch whose first request has just failed, and whose error the client isn't to see:
    /// what it owed is void, and so is its ReadyForQuery. False, and nothing done, unless the request
    /// used a statement and the batch is the only one under way, with its Sync.
    pub fn take_back(&mut self) -> bool {
        const BATCH_MAX: usize = 64;
        let used = |it: &Entry| {
            it.terms.fate == Fate::Forward
                && matches!(it.debt, Debt::Bind | Debt::DescribeStatement)
        };
        let ends = self.debts.iter().position(|it| {
            let ours = it.terms.fate == Fate::Swallow;
            !match it.debt {
                Debt::Bind | Debt::DescribeStatement | Debt::DescribePortal | Debt::Execute => true,
                Debt::Parse | Debt::Close => ours,
                _ => false,
            }
        });
        let len = self.debts.len();
        if len > BATCH_MAX
            || self.stream != Stream::None
            || !self.debts.front().is_some_and(used)
            || ends != Some(len - 1)
            || self.debts.back().map(|it| it.debt) != Some(Debt::Sync)
        {
            return false;
        }
        for entry in self.debts.drain(..len - 1) {
            self.outcome.skipped += usize::from(entry.terms.promise);
            self.executed.ended += u64::from(entry.is_statement());
        }
        if let Some(sync) = self.debts.front_mut() {
            sync.terms.fate = Fate::Swallow;
            self.mix = Mix::Mixed;
        }
        true
    }

    /// True if all that is owed is the client's own, and nothing is to be said in front.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.mix == Mix::Plain && !self.says_parsed
    }

    /// True if the error that is due next is to be replaced by ours.
    #[inline]
    pub fn refuses(&self) -> bool {
        let head = self.debts.front();
        self.mix == Mix::Mixed && head.is_some_and(|it| it.terms.fate == Fate::Refuse)
    }

    /// The client has had an error in the middle of the answer that is due: it gets nothing more of it.
    pub fn cut(&mut self) {
        if let Some(head) = self.debts.front_mut() {
            head.terms.fate = Fate::Cut;
            self.mix = Mix::Mixed;
        }
    }

    /// True if the client gets nothing of what is due now but its ReadyForQuery.
    #[inline]
    pub fn is_cut(&self) -> bool {
        let head = self.debts.front();
        self.mix == Mix::Mixed
            && head.is_some_and(|it| matches!(it.terms.fate, Fate::Cut | Fate::Void))
    }

    /// True if a Query is due of which the client gets nothing more, and nothing of it has failed at the server.
    pub fn is_cut_alive(&self) -> bool {
        self.debts.front().is_some_and(|it| {
            it.terms.fate == Fate::Cut
                && matches!(it.debt, Debt::Asked | Debt::Query | Debt::QueryRows)
        })
    }

    /// True if the server reads a copy.
    pub fn reads_copy(&self) -> bool {
        matches!(self.stream, Stream::In | Stream::InEnded | Stream::Both)
    }

    /// True if something becomes true with the end of the oldest debt.
    #[inline]
    pub fn promises(&self) -> bool {
        self.mix == Mix::Mixed && self.debts.front().is_some_and(|it| it.terms.promise)
    }

    /// True if the oldest debt is a Query of ours: what comes unasked meanwhile (parameters,
    /// notices) is not the client's.
    #[inline]
    pub fn is_ours(&self) -> bool {
        if self.mix == Mix::Plain {
            return false;
        }
        let head = self.debts.front();
        head.is_some_and(|it| {
            matches!(it.terms.fate, Fate::Swallow | Fate::Say)
                && matches!(
                    it.debt,
                    Debt::Asked | Debt::Query | Debt::QueryRows | Debt::Ready
                )
        })
    }

    /// True if DataRow (`D`) for the client is due now, so that a run of them needs no further look.
    #[inline]
    pub fn rows_due(&self) -> bool {
        match self.debts.front() {
            Some(Entry {
                debt: Debt::Execute | Debt::QueryRows,
                terms:
                    Terms {
                        fate: Fate::Forward,
                        ..
                    },
            }) => self.stream == Stream::None || self.both_rows_due(),
            _ => false,
        }
    }

    fn both_rows_due(&self) -> bool {
        let head = self.debts.front().map(|it| it.debt);
        (head, self.stream) == (Some(Debt::QueryRows), Stream::Both)
    }

    /// True if CopyData (`d`) from the server is due now.
    #[inline]
    pub fn copy_data_due(&self) -> bool {
        matches!(self.stream, Stream::Out | Stream::Both)
    }

    /// Settles the oldest debt with a reply of type `tag` and gives what is to become of the reply,
    /// or says why it can't be.
    ///
    /// The client's DataRow and CopyData are judged by [`rows_due`](Self::rows_due) and
    /// [`copy_data_due`](Self::copy_data_due), asynchronous messages (N, A, S) not at all, a FATAL
    /// ErrorResponse ends the connection whatever is due, and ReadyForQuery comes as
    /// [`ready`](Self::ready).
    #[inline]
    pub fn reply(&mut self, tag: u8) -> Result<Fate, OutOfTurn> {
        if self.settles_plainly(tag) {
            return Ok(Fate::Forward);
        }
        self.settle(tag)
    }

    /// The same for a reply that most answers are made of, where all that is owed is the client's own. False, and
    /// nothing done, if it is anything else.
    #[inline]
    pub(crate) fn settles_plainly(&mut self, tag: u8) -> bool {
        if self.mix != Mix::Plain || self.stream != Stream::None {
            return false;
        }
        let Some(head) = self.debts.front_mut() else {
            return false;
        };
        match (head.debt, tag) {
            // Their ReadyForQuery is still owed, and looks after what the queue keeps.
            (Debt::Bind, b'2') | (Debt::DescribePortal, b'T' | b'n') => {
                self.debts.pop_front();
            }
            (Debt::Execute, b'C') => {
                self.debts.pop_front();
                self.executed.ended += 1;
            }
            (Debt::Asked | Debt::Query, b'T') => head.debt = Debt::QueryRows,
            (Debt::Asked | Debt::Query | Debt::QueryRows, b'C') => head.debt = Debt::Query,
            _ => return false,
        }
        true
    }

    /// A reply of any kind.
    fn settle(&mut self, tag: u8) -> Result<Fate, OutOfTurn> {
        self.drop_copy_ends();
        let Some(Entry { debt, terms }) = self.debts.front_mut() else {
            return Err(self.out_of_turn(tag));
        };
        let fate = terms.fate;
        if fate == Fate::Say {
            return Err(self.out_of_turn(tag));
        }
        if *debt == Debt::Asked {
            *debt = Debt::Query;
        }
        let is_cut = matches!(fate, Fate::Cut | Fate::Void);
        let ours = fate != Fate::Forward && !is_cut;
        match (self.stream, *debt, tag) {
            (Stream::None, Debt::Parse, b'1')
            | (Stream::None, Debt::Bind, b'2')
            | (Stream::None, Debt::Close, b'3')
            | (Stream::None, Debt::DescribePortal, b'T' | b'n')
            | (Stream::None, Debt::Execute, b'C' | b'I' | b's') => self.pop(),
            (Stream::None, Debt::DescribeStatement, b't') => *debt = Debt::DescribePortal,
            (Stream::None, Debt::Query | Debt::QueryRows, b'C') => *debt = Debt::Query,
            (Stream::None, Debt::Query, b'T') => *debt = Debt::QueryRows,
            (Stream::None, Debt::QueryRows, b'D') if ours || is_cut => {}
            (Stream::None, Debt::Execute, b'D') | (Stream::Out | Stream::Both, _, b'd')
                if is_cut => {}
            (Stream::None, Debt::Query, b'I') => {}
            (Stream::None, Debt::FunctionCall, b'V') => *debt = Debt::Ready,
            (Stream::None, _, b'G' | b'H' | b'W') if ours => return Err(self.out_of_turn(tag)),
            (Stream::None, Debt::Execute | Debt::Query, b'G') => self.copy_in_opened(),
            (Stream::None, Debt::Execute | Debt::Query, b'H') => self.stream = Stream::Out,
            (Stream::None, Debt::Query, b'W') => self.stream = Stream::Both,
            (Stream::In | Stream::InEnded, Debt::Query, b'C') => self.copy_over(),
            (Stream::In | Stream::InEnded, Debt::Execute, b'C') => {
                self.copy_over();
                self.pop();
            }
            (Stream::Out, _, b'c') => self.stream = Stream::OutEnded,
            (Stream::OutEnded, Debt::Query, b'C') => self.stream = Stream::None,
            // BASE_BACKUP has no tag of its own for a copy: the next tablespace's copy (before
            // PostgreSQL 15) or the result set with the backup's end comes behind CopyDone.
            (Stream::OutEnded, Debt::Query, b'H') => self.stream = Stream::Out,
            (Stream::OutEnded, Debt::Query, b'T') => {
                *debt = Debt::QueryRows;
                self.stream = Stream::None;
            }
            (Stream::OutEnded, Debt::Execute, b'C') => {
                self.stream = Stream::None;
                self.pop();
            }
            // The next timeline of a replication stream comes as a result set before its tag.
            (Stream::Both, _, b'c') => {}
            (Stream::Both, _, b'T') => *debt = Debt::QueryRows,
            (Stream::Both, _, b'C') => {
                *debt = Debt::Query;
                self.stream = Stream::None;
            }
            (_, _, b'E') => return self.error(),
            _ => return Err(self.out_of_turn(tag)),
        }
        Ok(fate)
    }

    /// Settles a ReadyForQuery; gives what is to become of it.
    #[inline]
    pub fn ready(&mut self) -> Result<Fate, OutOfTurn> {
        self.drop_copy_ends();
        match (self.debts.front(), self.stream) {
            (
                Some(Entry {
                    debt: Debt::Query | Debt::Ready | Debt::Sync,
                    terms,
                }),
                Stream::None,
            ) => {
                let fate = terms.fate;
                self.pop();
                Ok(fate)
            }
            _ if self.unsure > 0 && self.stream != Stream::In => {
                self.unsure -= 1;
                self.stream = Stream::None;
                Ok(Fate::Forward)
            }
            _ => Err(self.out_of_turn(b'Z')),
        }
    }

    /// An ErrorResponse of severity ERROR: settles the failed request and, in the extended
    /// protocol, all that the server skips. There the client gets it even if the request was ours:
    /// it takes the place of the answer to what ours was made for.
    fn error(&mut self) -> Result<Fate, OutOfTurn> {
        let Some(Entry { debt, terms }) = self.debts.front_mut() else {
            return Err(self.out_of_turn(b'E'));
        };
        let fate = terms.fate;
        self.stream = Stream::None;
        match debt {
            Debt::Asked | Debt::Query | Debt::QueryRows | Debt::FunctionCall => {
                *debt = Debt::Ready;
                self.outcome.failed += usize::from(terms.promise);
                terms.promise = false;
                Ok(fate)
            }
            // A commit that fails at its Sync, or a second error on the way out.
            Debt::Ready | Debt::Sync => Ok(fate),
            _ => {
                self.outcome.failed += usize::from(terms.promise);
                if let Some(failed) = self.debts.pop_front() {
                    self.executed.ended += u64::from(failed.is_statement());
                }
                let fate = match fate {
                    Fate::Refuse => Fate::Refuse,
                    _ => Fate::Forward,
                };
                while let Some(entry) = self.debts.front() {
                    if entry.debt == Debt::Sync {
                        return Ok(fate);
                    }
                    self.outcome.skipped += usize::from(entry.terms.promise);
                    self.executed.ended += u64::from(entry.is_statement());
                    self.debts.pop_front();
                }
                self.stream = Stream::Skip;
                Ok(fate)
            }
        }
    }

    /// CopyInResponse: the Syncs behind the copying request, up to the end of the copy as far as
    /// the client has sent it, were swallowed by the server and owe nothing.
    fn copy_in_opened(&mut self) {
        let end = self.debts.iter().position(|it| it.debt == Debt::CopyEnd);
        let mut index = 0;
        self.debts.retain(|it| {
            let at = index;
            index += 1;
            let inside = at > 0 && end.is_none_or(|end| at <= end);
            !(inside && matches!(it.debt, Debt::Sync | Debt::CopyEnd))
        });
        self.stream = match end {
            Some(_) => Stream::InEnded,
            None => Stream::In,
        };
    }

    fn copy_over(&mut self) {
        self.stream = Stream::None;
        self.unsure = 0;
    }

    #[inline]
    fn pop(&mut self) {
        if let Some(settled) = self.debts.pop_front() {
            self.outcome.kept += usize::from(settled.terms.promise);
            self.executed.ended += u64::from(settled.is_statement());
        }
        // Whose request came to nothing: else what is said next would hide behind it.
        self.drop_copy_ends();
        // A session that once had a deep pipeline doesn't keep its queue.
        if self.debts.is_empty() {
            self.mix = Mix::Plain;
            if self.debts.capacity() > 64 {
                self.debts.shrink_to(16);
            }
        }
    }

    /// The end of a copy that never began is ignored by the server.
    #[inline]
    fn drop_copy_ends(&mut self) {
        if self.mix == Mix::Plain {
            return;
        }
        while self.debts.front().map(|it| it.debt) == Some(Debt::CopyEnd) {
            self.debts.pop_front();
        }
    }

    fn out_of_turn(&self, tag: u8) -> OutOfTurn {
        OutOfTurn {
            tag,
            due: self.due(),
        }
    }

    /// What is due, in the words of PostgreSQL's manual.
    fn due(&self) -> &'static str {
        match (self.stream, self.debts.front().map(|it| it.debt)) {
            (Stream::Skip, _) | (_, None) => "nothing",
            (Stream::In | Stream::InEnded, _) => "the end of a copy-in",
            (Stream::Out | Stream::OutEnded, _) => "the rest of a copy-out",
            (Stream::Both, _) => "the rest of a copy-both",
            (Stream::None, Some(debt)) => match debt {
                Debt::Asked | Debt::Query => "a query's result",
                Debt::QueryRows => "a query's rows",
                Debt::Ready | Debt::Sync => "ReadyForQuery",
                Debt::Parse => "ParseComplete",
                Debt::Bind => "BindComplete",
                Debt::DescribeStatement => "ParameterDescription",
                Debt::DescribePortal => "RowDescription or NoData",
                Debt::Execute => "the result of Execute",
                Debt::Close => "CloseComplete",
                Debt::FunctionCall => "FunctionCallResponse",
                Debt::CopyEnd => "nothing",
            },
        }
    }
}

#[cfg(test)]
mod tests;
