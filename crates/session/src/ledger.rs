//! Owns what a server still owes: one debt for each request sent, settled by its replies in order.
//!
//! Takes the tag of each request (with what decides its reply) and of each reply; gives whether
//! the reply was due. It never sees payload. Copy, a failed pipeline and skip-until-Sync are facts
//! of this queue, not booleans elsewhere. Source: PostgreSQL manual, "Message Flow"; copy-in and
//! the Sync that it swallows: `postgres.c`, `copyfromparse.c`.

use std::collections::VecDeque;

/// What a request makes the server owe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Query: any results, then one ReadyForQuery.
    Query,
    /// Parse: ParseComplete.
    Parse,
    /// Bind: BindComplete.
    Bind,
    /// Describe of a statement: ParameterDescription, then as for a portal.
    DescribeStatement,
    /// Describe of a portal: RowDescription or NoData.
    DescribePortal,
    /// Execute: rows, then CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute,
    /// Close: CloseComplete.
    Close,
    /// Sync: ReadyForQuery.
    Sync,
    /// FunctionCall: FunctionCallResponse, then ReadyForQuery.
    FunctionCall,
    /// CopyDone or CopyFail: ends a copy-in, owes nothing itself.
    CopyEnd,
    /// CopyData, Flush: owe nothing.
    Nothing,
}

/// One debt: a request, and how far its answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Debt {
    /// Query of which nothing has come: a result or an error is due.
    Asked,
    /// Query between two results: T, C, I, G, H, W, E or Z may come.
    Query,
    /// Query or walsender command with rows coming.
    QueryRows,
    /// Query or FunctionCall whose error or value came: only Z is left.
    Ready,
    Parse,
    Bind,
    DescribeStatement,
    DescribePortal,
    Execute,
    Close,
    Sync,
    FunctionCall,
    /// The client ended a copy before the server had said whether there is one.
    CopyEnd,
}

/// The copy that the oldest debt has open, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    None,
    /// The server reads CopyData; Sync and Flush sent now are swallowed by it.
    In,
    /// The client has ended its copy-in; the answer is due.
    InEnded,
    /// The server sends CopyData.
    Out,
    /// The server's CopyDone has come; the tag is due.
    OutEnded,
    /// Walsender: both send CopyData.
    Both,
    /// After an error in the extended protocol: all is skipped up to a Sync not yet sent.
    Skip,
}

/// A reply that no request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server sent '{}' while {} was due", *tag as char, due)]
pub struct OutOfTurn {
    /// Type byte of the reply.
    pub tag: u8,
    /// What was due, in words.
    pub due: &'static str,
}

/// The transaction status of the last ReadyForQuery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 'I': outside a transaction block.
    Idle,
    /// 'T': inside one.
    InTransaction,
    /// 'E': inside a failed one.
    Failed,
}

impl Status {
    /// Reads the status byte of ReadyForQuery.
    pub fn from_byte(byte: u8) -> Option<Status> {
        match byte {
            b'I' => Some(Status::Idle),
            b'T' => Some(Status::InTransaction),
            b'E' => Some(Status::Failed),
            _ => None,
        }
    }
}

/// The queue of debts of one server connection.
#[derive(Debug)]
pub struct Ledger {
    debts: VecDeque<Debt>,
    stream: Stream,
    /// Syncs sent while a copy-in was open: owed only if the server had left it by then.
    unsure: u32,
    batch: Batch,
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
            stream: Stream::None,
            unsure: 0,
            batch: Batch::Closed,
        }
    }

    /// True if the server owes nothing, not even perhaps.
    pub fn is_settled(&self) -> bool {
        self.debts.is_empty() && self.stream == Stream::None && self.unsure == 0
    }

    /// True if nothing that was sent is still without its end: no debt, and no batch of the extended
    /// protocol without its Sync. The server would undo such a batch when its client leaves.
    pub fn is_closed(&self) -> bool {
        self.is_settled() && self.batch == Batch::Closed
    }

    /// Number of debts; bounded by the caller, which stops reading requests at its limit.
    pub fn len(&self) -> usize {
        self.debts.len()
    }

    /// True without debts.
    pub fn is_empty(&self) -> bool {
        self.debts.is_empty()
    }

    /// Notes a request that goes to the server.
    #[inline]
    pub fn request(&mut self, request: Request) {
        match request {
            Request::Sync | Request::Query | Request::FunctionCall => self.batch = Batch::Closed,
            Request::CopyEnd | Request::Nothing => {}
            _ => self.batch = Batch::Open,
        }
        match (self.stream, request) {
            (_, Request::Nothing) => {}
            (Stream::In, Request::Sync) => self.unsure = self.unsure.saturating_add(1),
            (Stream::In, Request::CopyEnd) => self.stream = Stream::InEnded,
            (Stream::None, Request::CopyEnd) if !self.debts.is_empty() => {
                self.debts.push_back(Debt::CopyEnd);
            }
            (_, Request::CopyEnd) => {}
            (Stream::Skip, Request::Sync) => {
                self.stream = Stream::None;
                self.debts.push_back(Debt::Sync);
            }
            (Stream::Skip, _) => {}
            (_, request) => self.debts.push_back(debt(request)),
        }
    }

    /// True if DataRow (`D`) is due now, so that a run of them needs no further look.
    #[inline]
    pub fn rows_due(&self) -> bool {
        matches!(
            (self.debts.front(), self.stream),
            (Some(Debt::Execute | Debt::QueryRows), Stream::None)
                | (Some(Debt::QueryRows), Stream::Both)
        )
    }

    /// True if CopyData (`d`) from the server is due now.
    #[inline]
    pub fn copy_data_due(&self) -> bool {
        matches!(self.stream, Stream::Out | Stream::Both)
    }

    /// Settles the oldest debt with a reply of type `tag`, or says why that can't be.
    ///
    /// DataRow and CopyData are judged by [`rows_due`](Self::rows_due) and
    /// [`copy_data_due`](Self::copy_data_due), asynchronous messages (N, A, S) not at all, a FATAL
    /// ErrorResponse ends the connection whatever is due, and ReadyForQuery comes as
    /// [`ready`](Self::ready).
    pub fn reply(&mut self, tag: u8) -> Result<(), OutOfTurn> {
        self.drop_copy_ends();
        let Some(head) = self.debts.front_mut() else {
            return Err(self.out_of_turn(tag));
        };
        if *head == Debt::Asked {
            *head = Debt::Query;
        }
        match (self.stream, *head, tag) {
            (Stream::None, Debt::Parse, b'1')
            | (Stream::None, Debt::Bind, b'2')
            | (Stream::None, Debt::Close, b'3')
            | (Stream::None, Debt::DescribePortal, b'T' | b'n')
            | (Stream::None, Debt::Execute, b'C' | b'I' | b's') => self.pop(),
            (Stream::None, Debt::DescribeStatement, b't') => *head = Debt::DescribePortal,
            (Stream::None, Debt::Query | Debt::QueryRows, b'C') => *head = Debt::Query,
            (Stream::None, Debt::Query, b'T') => *head = Debt::QueryRows,
            (Stream::None, Debt::Query, b'I') => {}
            (Stream::None, Debt::FunctionCall, b'V') => *head = Debt::Ready,
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
                *head = Debt::QueryRows;
                self.stream = Stream::None;
            }
            (Stream::OutEnded, Debt::Execute, b'C') => {
                self.stream = Stream::None;
                self.pop();
            }
            // The next timeline of a replication stream comes as a result set before its tag.
            (Stream::Both, _, b'c') => {}
            (Stream::Both, _, b'T') => *head = Debt::QueryRows,
            (Stream::Both, _, b'C') => {
                *head = Debt::Query;
                self.stream = Stream::None;
            }
            (_, _, b'E') => return self.error(),
            _ => return Err(self.out_of_turn(tag)),
        }
        Ok(())
    }

    /// Settles a ReadyForQuery.
    pub fn ready(&mut self) -> Result<(), OutOfTurn> {
        self.drop_copy_ends();
        match (self.debts.front(), self.stream) {
            (Some(Debt::Query | Debt::Ready | Debt::Sync), Stream::None) => {
                self.pop();
                Ok(())
            }
            _ if self.unsure > 0 && self.stream != Stream::In => {
                self.unsure -= 1;
                self.stream = Stream::None;
                Ok(())
            }
            _ => Err(self.out_of_turn(b'Z')),
        }
    }

    /// An ErrorResponse of severity ERROR: settles the failed request and, in the extended
    /// protocol, all that the server skips.
    fn error(&mut self) -> Result<(), OutOfTurn> {
        let Some(head) = self.debts.front_mut() else {
            return Err(self.out_of_turn(b'E'));
        };
        self.stream = Stream::None;
        match head {
            Debt::Asked | Debt::Query | Debt::QueryRows | Debt::FunctionCall => {
                *head = Debt::Ready;
            }
            // A commit that fails at its Sync, or a second error on the way out.
            Debt::Ready | Debt::Sync => {}
            _ => {
                while let Some(debt) = self.debts.front() {
                    if *debt == Debt::Sync {
                        return Ok(());
                    }
                    self.debts.pop_front();
                }
                self.stream = Stream::Skip;
            }
        }
        Ok(())
    }

    /// CopyInResponse: the Syncs behind the copying request, up to the end of the copy as far as
    /// the client has sent it, were swallowed by the server and owe nothing.
    fn copy_in_opened(&mut self) {
        let end = self.debts.iter().position(|d| *d == Debt::CopyEnd);
        let mut index = 0;
        self.debts.retain(|debt| {
            let at = index;
            index += 1;
            let inside = at > 0 && end.is_none_or(|end| at <= end);
            !(inside && matches!(debt, Debt::Sync | Debt::CopyEnd))
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

    fn pop(&mut self) {
        self.debts.pop_front();
        // A session that once had a deep pipeline doesn't keep its queue.
        if self.debts.is_empty() && self.debts.capacity() > 64 {
            self.debts.shrink_to(16);
        }
    }

    /// The end of a copy that never began is ignored by the server.
    #[inline]
    fn drop_copy_ends(&mut self) {
        while self.debts.front() == Some(&Debt::CopyEnd) {
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
        match (self.stream, self.debts.front()) {
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

fn debt(request: Request) -> Debt {
    match request {
        Request::Query => Debt::Asked,
        Request::Parse => Debt::Parse,
        Request::Bind => Debt::Bind,
        Request::DescribeStatement => Debt::DescribeStatement,
        Request::DescribePortal => Debt::DescribePortal,
        Request::Execute => Debt::Execute,
        Request::Close => Debt::Close,
        Request::Sync => Debt::Sync,
        Request::FunctionCall => Debt::FunctionCall,
        Request::CopyEnd | Request::Nothing => Debt::CopyEnd,
    }
}

#[cfg(test)]
mod tests;
