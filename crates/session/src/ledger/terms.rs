//! Owns the words of the ledger: what is asked, what becomes of replies, what is owed, and what is told of it.

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

/// What to do with the replies to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The client gets them.
    Forward,
    /// Nobody does: the request was ours.
    Swallow,
    /// Nothing was sent: the reply is made here when its turn comes ([`Ledger::take_said`](super::Ledger::take_said)).
    Say,
    /// What was sent in the client's stead is sure to fail; the error that the client gets is ours.
    Refuse,
    /// The client has had an error of ours in the middle of the answer: of the rest it gets ReadyForQuery alone.
    Cut,
    /// The same of a request of ours that follows such a one, and is sure to fail.
    Void,
}

/// The terms on which a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What becomes of its replies.
    pub fate: Fate,
    /// Something becomes true with its success: see [`Ledger::take_outcome`](super::Ledger::take_outcome).
    pub promise: bool,
}

impl Terms {
    /// The client's own request, passed on.
    pub const FORWARD: Terms = Terms {
        fate: Fate::Forward,
        promise: false,
    };
    /// A request of ours.
    pub const SWALLOW: Terms = Terms {
        fate: Fate::Swallow,
        promise: false,
    };
}

/// What became of promises, oldest first: so many were kept, then perhaps one failed, then so many
/// were skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Kept: their requests succeeded.
    pub kept: usize,
    /// Failed: the request itself did.
    pub failed: usize,
    /// Skipped behind a request that failed.
    pub skipped: usize,
}

/// Requests of the extended protocol that prepare and bind, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Parse messages from clients.
    pub client_parses: u64,
    /// Parse messages that went to the server: without those answered in its stead, with ours.
    pub server_parses: u64,
    /// Bind messages.
    pub binds: u64,
}

/// One debt and the terms on which it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) debt: Debt,
    pub(super) terms: Terms,
}

impl Entry {
    /// True for what a client has executed, whose answer it gets.
    #[inline]
    pub(super) fn is_statement(&self) -> bool {
        matches!(self.terms.fate, Fate::Forward | Fate::Cut)
            && matches!(
                self.debt,
                Debt::Asked
                    | Debt::Query
                    | Debt::QueryRows
                    | Debt::Ready
                    | Debt::Execute
                    | Debt::FunctionCall
            )
    }
}

/// One debt: a request, and how far its answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Debt {
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
pub(super) enum Stream {
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

impl Tally {
    pub(super) fn parse(&mut self, fate: Fate) {
        self.client_parses += u64::from(fate != Fate::Swallow);
        self.server_parses += u64::from(matches!(fate, Fate::Forward | Fate::Swallow));
    }
}

/// What is owed for a request of which nothing has come.
pub(super) fn debt(request: Request) -> Debt {
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
