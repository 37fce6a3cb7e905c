//! Owns the loop that moves a linked session's bytes: read → decrypt → relay → encrypt → write, a
//! bounded number of turns, then sleep.
//!
//! What flows back is only credit: a side is read only while nothing waits to be written to the
//! other, so each direction holds what one read produced and never more. Knows no message; what
//! may pass is [`session::relay`]'s business.

use crate::bell::Bell;
use crate::client::{ClientSide, Ending, Keeps, Upstream};
use crate::inspection::Waits;
use crate::lend::{self, PLAIN_BYTES};
use crate::port::{Arrived, Port};
use crate::rest::ServerSide;
use crate::watch::Watched;
use session::farewell::{FLUSH, TERMINATE};
use session::fault::{Fault, FaultKind, Side};
use session::relay::{Relayed, to_client, to_server};
use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::SystemTime;
use tls::{EndOfInput, Engine};

/// Turns before other sessions of the worker get theirs.
const TURNS_MAX: usize = 16;

/// The time of day.
pub(crate) fn unix_now_s() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |it| it.as_secs())
}

/// A client, the server connection lent to it, and what lies between them.
pub struct Pump<'a> {
    /// The client.
    pub client: &'a mut ClientSide,
    /// The server.
    pub server: &'a mut ServerSide,
}

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Moved,
    Still,
}

/// The session is over. Apart from what it says, as every turn hands it on, and only the last one has it.
struct Over(Box<Ending>);

impl From<Ending> for Over {
    #[cold]
    fn from(ending: Ending) -> Over {
        Over(Box::new(ending))
    }
}

impl From<Fault> for Over {
    #[cold]
    fn from(fault: Fault) -> Over {
        Ending::Fault(fault).into()
    }
}

impl Pump<'_> {
    /// Runs until the session ends, or parts.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        let polled = self.poll_turns(cx);
        if polled.is_ready() {
            self.end_flow();
        }
        polled
    }

    #[inline]
    fn poll_turns(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.client.bells.listen(cx.waker());
        if self.client.watch.is_suspended() {
            self.end_flow();
            return self.stand_still(cx);
        }
        if self.server.server.traffic.is_cut() {
            return Poll::Ready(Ending::Fault(self.demoted()));
        }
        if let Some(hold) = &mut self.client.hold {
            hold.listen(cx, &mut self.client.stream);
        }
        if let Some(now_s) = self.client.keeper.next_second()
            && let Err(fault) = self.keep_up(now_s)
        {
            return Poll::Ready(Ending::Fault(fault));
        }
        for _ in 0..TURNS_MAX {
            if self.client.awaits_log() {
                match self.poll_log(cx) {
                    Poll::Pending => return self.sleep(cx),
                    Poll::Ready(Err(fault)) => return Poll::Ready(Ending::Fault(fault)),
                    Poll::Ready(Ok(())) => {}
                }
            }
            match self.turn(cx) {
                Ok(Turn::Moved) if self.may_part() => return Poll::Ready(Ending::Parted),
                Ok(Turn::Moved | Turn::Still) if self.may_wait_apart() => {
                    return Poll::Ready(Ending::Parted);
                }
                Ok(Turn::Moved) if self.client.port.is_tired() | self.server.port.is_tired() => {
                    break;
                }
                Ok(Turn::Moved) if !self.has_nothing_more() => {}
                Ok(Turn::Moved | Turn::Still) => {
                    self.client.port.rest();
                    self.server.port.rest();
                    return self.sleep(cx);
                }
                Err(Over(ending)) => return Poll::Ready(*ending),
            }
        }
        come_back(cx);
        Poll::Pending
    }

    /// The server is not what it was taken for any more: nothing is sent to it.
    #[cold]
    fn demoted(&mut self) -> Fault {
        self.server.port.plain_out.clear();
        let host = self.server.host.address.to_string();
        Fault::new(Side::Server, FaultKind::Demoted { host })
    }

    /// Waits for the query log.
    #[cold]
    fn poll_log(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        match &mut self.client.tracker {
            Some(tracker) => tracker.poll_held(cx, self.server, &self.client.stopwatch),
            None => Poll::Ready(Ok(())),
        }
    }

    /// True if the client's transaction is over and all of its result is with the client's port.
    #[inline]
    fn may_part(&self) -> bool {
        match self.client.keeps {
            Keeps::ForGood => false,
            Keeps::Pinned => self.server.server.lease.sets() && self.stands_between(),
            Keeps::Round { since } => self.server.server.rounds != since && self.stands_between(),
        }
    }

    /// True if the client's next statement waits for its turn, and it needs no server connection meanwhile.
    #[inline]
    fn may_wait_apart(&mut self) -> bool {
        let shares = matches!(self.client.keeps, Keeps::Round { .. });
        self.client.hold.is_some()
            && shares
            && self
                .client
                .stream
                .governor()
                .is_some_and(|it| it.is_holding())
            && self.stands_between()
    }

    /// Nothing is under way.
    fn stands_between(&self) -> bool {
        self.server.server.may_part()
            && self.client.stream.between_frames()
            && self.client.upstream == Upstream::Open
            && self.server.port.is_quiet()
            && !self.client.awaits_log()
    }

    /// Once a second: keys that are due.
    #[cold]
    fn keep_up(&mut self, now_s: u32) -> Result<(), Fault> {
        let due = self
            .client
            .keeper
            .tick(now_s, &mut self.client.port, &mut self.server.port)?;
        self.client.watch.wake_at(due);
        // What a rested session had to say took memory, which goes back in time.
        if self.client.port.has_output() || self.server.port.has_output() {
            self.client.watch.moved();
        }
        Ok(())
    }

    /// True if another turn would find nothing: all that came has gone on, and both sockets are
    /// listened to.
    #[inline]
    fn has_nothing_more(&mut self) -> bool {
        let (client, server) = (&self.client.port, &self.server.port);
        !client.has_output()
            && !server.has_output()
            && client.plain_in.is_empty()
            && server.plain_in.is_empty()
            && self.client.upstream == Upstream::Open
            && !self.client.stream.has_more(&self.server.server)
            && !self.server.server.ledger.must_say()
            && awaits(&mut self.client.port, &mut self.client.bells.client)
            && awaits(&mut self.server.port, &mut self.client.bells.server)
    }

    /// One turn of both directions.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Turn, Over> {
        let from_client = self.upstream(cx)?;
        let from_server = self.downstream(cx)?;
        Ok(match (from_client, from_server) {
            (Turn::Still, Turn::Still) => Turn::Still,
            _ => Turn::Moved,
        })
    }

    /// Client to server.
    #[inline]
    fn upstream(&mut self, cx: &mut Context<'_>) -> Result<Turn, Over> {
        let stuck = self.server.port.has_output() && self.poll_send_up(cx)?.is_pending();
        // A client in the middle of a renegotiation is read all the same: its answer takes what
        // waits for it, and so the server gets on.
        if (stuck || self.client.upstream != Upstream::Open) && !self.client.port.withholds() {
            return Ok(Turn::Still);
        }
        let mut turn = Turn::Still;
        let mut end = None;
        if !self.client.bells.client.is_silent() && may_receive(&self.client.port) {
            match self
                .client
                .port
                .poll_receive(&mut self.client.bells.client.context())?
            {
                Poll::Ready(Arrived::Bytes) => turn = Turn::Moved,
                Poll::Ready(Arrived::End(kind)) => end = Some(kind),
                Poll::Pending => self.client.bells.client.wait(),
            }
        }
        let has_more = !self.client.port.plain_in.is_empty()
            || self.client.stream.has_more(&self.server.server);
        if has_more && !stuck && self.client.upstream == Upstream::Open {
            let before = self.client.port.plain_in.len();
            let room = self.server.port.room();
            let held = room.len();
            if let Some(hold) = &self.client.hold {
                hold.asking(cx, &mut self.client.stream);
            }
            let relayed = to_server(
                &mut self.client.stream,
                &mut self.server.server,
                &mut self.client.port.plain_in,
                room,
            );
            self.client.stopwatch.sent(&self.server.server);
            if let Some(hold) = &mut self.client.hold {
                let server = (&self.server.server.ledger, self.server.target.as_ref());
                hold.passed(&mut self.client.stream, server);
            }
            // A statement that is put in front of the client's own message moves without it.
            if self.client.port.plain_in.len() != before || room.len() != held {
                turn = Turn::Moved;
                self.client.watch.moved();
            }
            self.client.track(self.server)?;
            self.send_up(cx)?;
            match relayed {
                Ok(Relayed::Terminated) if self.server.server.ledger.is_settled() => {
                    return Err(Ending::Terminated.into());
                }
                Ok(Relayed::Terminated) => {
                    self.client.upstream = Upstream::Terminated;
                    return self.last_words(cx, TERMINATE);
                }
                Ok(_) => {}
                Err(fault) if self.server.server.ledger.is_empty() || !fault.is_told() => {
                    return Err(fault.into());
                }
                Err(fault) => {
                    self.client.upstream = Upstream::Broken(Box::new(fault));
                    self.client.watch.give_up_soon();
                    return self.last_words(cx, FLUSH);
                }
            }
        }
        match end {
            Some(kind) => Err(Over::from(Ending::ClientGone {
                truncated: kind == EndOfInput::Truncated,
            })),
            None => Ok(turn),
        }
    }

    /// The last message to the server while replies are owed.
    #[cold]
    fn last_words(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Result<Turn, Over> {
        let _ = self.server.port.room().push(message);
        self.send_up(cx)?;
        Ok(Turn::Moved)
    }

    /// Sends what was relayed to the server, unless it has to wait for its record.
    #[inline]
    fn send_up(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if !self.client.awaits_log() {
            let _ = self.poll_send_up(cx)?;
        }
        Ok(())
    }

    /// Sends to the server, as long as that listens.
    #[inline]
    fn poll_send_up(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        match self.server.port.poll_send(cx) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(fault)) => self.hear_out(fault).map(Poll::Ready),
        }
    }

    /// The server's end of the connection is gone. What it said before, which may tell why, is still to be read.
    #[cold]
    fn hear_out(&mut self, fault: Fault) -> Result<(), Fault> {
        if !matches!(fault.kind, FaultKind::Io { .. }) {
            return Err(fault);
        }
        self.server.port.drop_output();
        if self.client.upstream == Upstream::Open {
            self.client.upstream = Upstream::Broken(Box::new(fault));
            self.client.watch.give_up_soon();
        }
        Ok(())
    }

    /// Server to client.
    #[inline]
    fn downstream(&mut self, cx: &mut Context<'_>) -> Result<Turn, Over> {
        let stuck = self.client.port.has_output() && self.client.port.poll_send(cx)?.is_pending();
        if stuck && !self.server.port.withholds() {
            return Ok(Turn::Still);
        }
        let mut turn = Turn::Still;
        let mut end = None;
        if !self.client.bells.server.is_silent() && may_receive(&self.server.port) {
            match self
                .server
                .port
                .poll_receive(&mut self.client.bells.server.context())
            {
                Poll::Ready(Ok(Arrived::Bytes)) => turn = Turn::Moved,
                Poll::Ready(Ok(Arrived::End(kind))) => end = Some(kind),
                Poll::Ready(Err(fault)) => return Err(self.last_heard(fault)),
                Poll::Pending => self.client.bells.server.wait(),
            }
        }
        let has_words =
            !self.server.port.plain_in.is_empty() || self.server.server.ledger.must_say();
        if has_words && !stuck {
            let before = self.server.port.plain_in.len();
            if let Some(hold) = &self.client.hold {
                hold.answering(cx, &mut self.client.stream);
            }
            let relayed = to_client(
                &mut self.client.stream,
                &mut self.server.server,
                &mut self.server.port.plain_in,
                self.client.port.room(),
            );
            self.client.stopwatch.answered(&self.server.server);
            if let Some(hold) = &mut self.client.hold {
                let server = (&self.server.server.ledger, self.server.target.as_ref());
                hold.answered(cx, &mut self.client.stream, server);
            }
            self.client.track(self.server)?;
            if self.server.port.plain_in.len() != before {
                turn = Turn::Moved;
                self.client.watch.moved();
            }
            let sent = self.client.port.poll_send(cx)?;
            if relayed? == Relayed::ServerEnding {
                self.server.server.ending = true;
            }
            if sent.is_pending() {
                return Ok(turn);
            }
        }
        if let Upstream::Broken(fault) = &self.client.upstream
            && (self.server.server.ledger.is_empty() || end.is_some())
            && self.server.server.between_frames()
            && !self.server.server.ending
        {
            return Err((**fault).clone().into());
        }
        match end {
            Some(_) if self.client.upstream == Upstream::Terminated => {
                Err(Ending::Terminated.into())
            }
            Some(_) if self.server.server.ending => Err(Ending::ServerEnded.into()),
            Some(kind) => Err(Over::from(Fault::new(
                Side::Server,
                FaultKind::Lost {
                    truncated: kind == EndOfInput::Truncated,
                },
            ))),
            None => Ok(turn),
        }
    }

    /// Nothing more can be read from the server.
    #[cold]
    fn last_heard(&mut self, fault: Fault) -> Over {
        match &self.client.upstream {
            _ if self.server.server.ending => Ending::ServerEnded.into(),
            Upstream::Broken(first) => (**first).clone().into(),
            Upstream::Open | Upstream::Terminated => fault.into(),
        }
    }

    /// For those who look at what clients are doing. `is_unsent`: the server has not taken all yet.
    #[inline]
    fn tell_what_is_waited_for(&mut self, is_unsent: bool) {
        let Some(tracker) = &mut self.client.tracker else {
            return;
        };
        let waits = if tracker.is_held() {
            Waits::LogWrites
        } else if self.client.port.has_output() {
            Waits::ClientReads
        } else if is_unsent {
            Waits::ServerReads
        } else if self.server.server.ledger.awaits_client() {
            Waits::ClientSends
        } else {
            Waits::ServerAnswers
        };
        tracker.sleeps(waits, &self.server.server);
    }

    /// Nothing moves: watch deadlines, and a client that isn't being read.
    fn sleep(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if self.client.keeper.wants_end() && self.server.server.is_idle() {
            return Poll::Ready(Ending::Fault(Fault::new(Side::Proxy, FaultKind::WornKeys)));
        }
        let is_unsent = self.server.port.has_output();
        self.tell_what_is_waited_for(is_unsent);
        if let Some(hold) = &mut self.client.hold {
            // A cancel of what waits wakes those who have entered.
            self.client.watch.enter(cx);
            if hold.sleep(cx, &mut self.client.stream, self.server) {
                // Waiting for its turn is no silence.
                self.client.watch.moved();
            }
        }
        self.listen(cx);
        let unread =
            is_unsent || !may_receive(&self.client.port) || self.client.upstream != Upstream::Open;
        loop {
            match self.client.watch.poll(
                cx,
                unread,
                &self.client.port.socket,
                Some((&self.server.server, self.client.keeps)),
            ) {
                Watched::Sleep => return Poll::Pending,
                Watched::End(ending) => return Poll::Ready(ending),
                Watched::GiveUp => {
                    return Poll::Ready(match &self.client.upstream {
                        Upstream::Broken(fault) => Ending::Fault((**fault).clone()),
                        Upstream::Open | Upstream::Terminated => Ending::Terminated,
                    });
                }
                Watched::Rest => {
                    self.end_flow();
                    self.client.port.hibernate();
                    self.server.port.hibernate();
                    lend::rest(2);
                }
            }
        }
    }
}

/// Has this task polled again after everybody else: a waker alone would bring it back before the
/// runtime has looked at the other sessions' sockets, if nobody else is ready.
fn come_back(cx: &mut Context<'_>) {
    let yielding = pin!(tokio::task::yield_now());
    // Pending, always; what is wanted is that it has taken the waker.
    let _ = yielding.poll(cx);
}

/// True if the port's bell will ring when there is something to read.
#[inline]
fn awaits(port: &mut Port, bell: &mut Bell) -> bool {
    if !bell.is_silent() && port.is_drained(&mut bell.context()) {
        bell.wait();
    }
    bell.is_silent()
}

/// True if a record's plaintext fits.
#[inline]
pub fn may_receive(port: &Port) -> bool {
    PLAIN_BYTES - port.plain_in.len() >= Engine::PLAIN_MIN
}
