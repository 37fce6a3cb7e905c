//! Owns what a client that is in has with it from server connection to server connection, and what its session may come
//! to. Takes no bytes: who moves them, or waits, has it in hand.

use crate::bell::Bells;
use crate::hold::Hold;
use crate::inspection::Tracker;
use crate::keeper::Keeper;
use crate::port::Port;
use crate::rest::ServerSide;
use crate::stopwatch::Stopwatch;
use crate::watch::Watch;
use session::ClientStream;
use session::fault::{Fault, FaultKind, Side};
use std::time::Instant;

/// A client that is in, with all that goes with it from server connection to server connection.
pub struct ClientSide {
    /// Our end.
    pub port: Port,
    /// How far its stream of frames is.
    pub stream: ClientStream,
    /// Deadlines and its hang-up.
    pub watch: Watch,
    /// Whether more may come from it.
    pub upstream: Upstream,
    /// The upkeep of both legs.
    pub keeper: Keeper,
    /// Which sockets are worth asking.
    pub bells: Bells,
    /// How long it keeps a server connection.
    pub keeps: Keeps,
    /// How long its requests take.
    pub stopwatch: Stopwatch,
    /// Follows its statements, if they are looked at.
    pub tracker: Option<Box<Tracker>>,
    /// Keeps the time for rules, if its statements are judged.
    pub hold: Option<Box<Hold>>,
}

impl ClientSide {
    /// A connection was lent at `now`, after a wait since `asked`.
    #[inline]
    pub fn lent(&mut self, asked: Instant, now: Instant) {
        let waited = self.stopwatch.lent(asked, now);
        if let Some(tracker) = &mut self.tracker {
            tracker.lent(waited);
        }
    }

    /// The client lets go of its server connection: what is under way there is lost. True if the connection has to
    /// close, as it never gets what was meant for it.
    pub async fn untrack(&mut self, server: &mut ServerSide) -> bool {
        let Some(tracker) = &mut self.tracker else {
            return false;
        };
        let withholds = tracker.withholds();
        if withholds {
            server.port.plain_out.clear();
        }
        tracker.ends(server, &self.stopwatch).await;
        withholds
    }

    /// Why no statement may begin at present, if that is so.
    pub fn unlogged(&self) -> Option<Fault> {
        let refuses = self.tracker.as_ref().is_some_and(|it| it.log_refuses());
        refuses.then(|| Fault::new(Side::Proxy, FaultKind::Unlogged))
    }

    /// True while what was relayed must not go to the server yet.
    #[inline]
    pub(crate) fn awaits_log(&self) -> bool {
        self.tracker.as_ref().is_some_and(|it| it.is_held())
    }

    /// Tells who follows the statements that bytes have passed.
    #[inline]
    pub(crate) fn track(&mut self, server: &mut ServerSide) -> Result<(), Fault> {
        let Some(tracker) = &mut self.tracker else {
            return Ok(());
        };
        tracker.moved(server, &self.stopwatch);
        match tracker.is_refused() {
            false => Ok(()),
            true => Err(Fault::new(Side::Proxy, FaultKind::LogFull)),
        }
    }
}

/// How long a client keeps the server connection that it was lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Until it leaves.
    ForGood,
    /// Until its transaction ends; `since` is the server's count of rounds when it was lent.
    Round {
        /// See [`session::Server::rounds`].
        since: u64,
    },
    /// Until it leaves: it made something that only this connection has. It parts for a moment when it may
    /// have reset a parameter to what the connection began with.
    Pinned,
}

/// Whether more may come from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// It may.
    Open,
    /// Its Terminate went to the server behind requests that are still to be answered: what they
    /// give is delivered, then the server closes.
    Terminated,
    /// It broke the protocol, or nothing can be sent to the server any more. What was asked for before is delivered, as
    /// far as it comes, then the client is told so.
    Broken(Box<Fault>),
}

/// How a session ended.
#[derive(Debug)]
pub enum Ending {
    /// The client sent Terminate.
    Terminated,
    /// The client closed without Terminate.
    ClientGone {
        /// TLS was cut, not closed.
        truncated: bool,
    },
    /// The server said why in a FATAL ErrorResponse, and closed.
    ServerEnded,
    /// Something broke.
    Fault(Fault),
    /// It has not: the client needs its server connection no more for now.
    Parted,
}
