//! Owns the loop that moves a linked session's bytes: read → decrypt → relay → encrypt → write, a
//! bounded number of turns, then sleep.
//!
//! What flows back is only credit: a side is read only while nothing waits to be written to the
//! other, so each direction holds what one read produced and never more. Knows no message; what
//! may pass is [`session::relay`]'s business.

use crate::bell::Bells;
use crate::keeper::Keeper;
use crate::lend::PLAIN_BYTES;
use crate::port::{Arrived, Port};
use crate::watch::{Watch, Watched};
use session::farewell::{FLUSH, TERMINATE};
use session::fault::{Fault, FaultKind, Side};
use session::relay::{Relayed, to_client, to_server};
use session::{ClientStream, Server};
use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll};
use tls::{EndOfInput, Engine};

/// Turns before other sessions of the worker get theirs.
const TURNS_MAX: usize = 16;

/// Client, server and what lies between them.
pub struct Pump {
    /// Our end towards the client.
    pub client: Port,
    /// Our end towards the server.
    pub server: Port,
    /// How far the client's stream of frames is.
    pub stream: ClientStream,
    /// The server connection's state.
    pub link: Server,
    /// Deadlines and the client's hang-up.
    pub watch: Watch,
    /// Whether more may come from the client.
    pub upstream: Upstream,
    /// The upkeep of both legs.
    pub keeper: Keeper,
    /// Which sockets are worth asking.
    pub bells: Bells,
}

/// Whether more may come from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// It may.
    Open,
    /// Its Terminate went to the server behind requests that are still to be answered: what they
    /// give is delivered, then the server closes.
    Terminated,
    /// It broke the protocol. What it asked for before is delivered, then it is told so.
    Broken(Fault),
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
}

enum Turn {
    Moved,
    Still,
    End(Ending),
}

impl Pump {
    /// Runs until the session ends.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.bells.listen(cx.waker());
        if let Some(now_s) = self.keeper.next_second()
            && let Err(fault) = self.keep_up(now_s)
        {
            return Poll::Ready(Ending::Fault(fault));
        }
        for _ in 0..TURNS_MAX {
            match self.turn(cx) {
                Ok(Turn::Moved) if self.client.is_tired() | self.server.is_tired() => break,
                Ok(Turn::Moved) => {}
                Ok(Turn::Still) => {
                    self.client.rest();
                    self.server.rest();
                    return self.sleep(cx);
                }
                Ok(Turn::End(ending)) => return Poll::Ready(ending),
                Err(fault) => return Poll::Ready(Ending::Fault(fault)),
            }
        }
        come_back(cx);
        Poll::Pending
    }

    /// Once a second: keys that are due.
    #[cold]
    fn keep_up(&mut self, now_s: u32) -> Result<(), Fault> {
        let due = self
            .keeper
            .tick(now_s, &mut self.client, &mut self.server)?;
        self.watch.wake_at(due);
        // What a rested session had to say took memory, which goes back in time.
        if self.client.has_output() || self.server.has_output() {
            self.watch.moved();
        }
        Ok(())
    }

    /// One turn of both directions.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Turn, Fault> {
        let from_client = self.upstream(cx)?;
        if let Turn::End(_) = from_client {
            return Ok(from_client);
        }
        let from_server = self.downstream(cx)?;
        Ok(match (from_client, from_server) {
            (_, Turn::End(ending)) => Turn::End(ending),
            (Turn::Still, Turn::Still) => Turn::Still,
            _ => Turn::Moved,
        })
    }

    /// Client to server.
    #[inline]
    fn upstream(&mut self, cx: &mut Context<'_>) -> Result<Turn, Fault> {
        let stuck = self.server.has_output() && self.server.poll_send(cx)?.is_pending();
        // A client in the middle of a renegotiation is read all the same: its answer takes what
        // waits for it, and so the server gets on.
        if (stuck || self.upstream != Upstream::Open) && !self.client.withholds() {
            return Ok(Turn::Still);
        }
        let mut turn = Turn::Still;
        let mut end = None;
        if !self.bells.client.is_silent() && may_receive(&self.client) {
            match self.client.poll_receive(&mut self.bells.client.context())? {
                Poll::Ready(Arrived::Bytes) => turn = Turn::Moved,
                Poll::Ready(Arrived::End(kind)) => end = Some(kind),
                Poll::Pending => self.bells.client.wait(),
            }
        }
        if !self.client.plain_in.is_empty() && !stuck && self.upstream == Upstream::Open {
            let before = self.client.plain_in.len();
            let relayed = to_server(
                &mut self.stream,
                &mut self.link,
                &mut self.client.plain_in,
                self.server.room(),
            );
            if self.client.plain_in.len() != before {
                turn = Turn::Moved;
                self.watch.moved();
            }
            let _ = self.server.poll_send(cx)?;
            match relayed {
                Ok(Relayed::Terminated) if self.link.ledger.is_settled() => {
                    return Ok(Turn::End(Ending::Terminated));
                }
                Ok(Relayed::Terminated) => {
                    self.upstream = Upstream::Terminated;
                    return self.last_words(cx, TERMINATE);
                }
                Ok(_) => {}
                Err(fault) if self.link.ledger.is_empty() || !fault.is_told() => return Err(fault),
                Err(fault) => {
                    self.upstream = Upstream::Broken(fault);
                    self.watch.give_up_soon();
                    return self.last_words(cx, FLUSH);
                }
            }
        }
        match end {
            Some(kind) => Ok(Turn::End(Ending::ClientGone {
                truncated: kind == EndOfInput::Truncated,
            })),
            None => Ok(turn),
        }
    }

    /// The last message to the server while replies are owed.
    #[cold]
    fn last_words(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Result<Turn, Fault> {
        let _ = self.server.room().push(message);
        let _ = self.server.poll_send(cx)?;
        Ok(Turn::Moved)
    }

    /// Server to client.
    #[inline]
    fn downstream(&mut self, cx: &mut Context<'_>) -> Result<Turn, Fault> {
        let stuck = self.client.has_output() && self.client.poll_send(cx)?.is_pending();
        if stuck && !self.server.withholds() {
            return Ok(Turn::Still);
        }
        let mut turn = Turn::Still;
        let mut end = None;
        if !self.bells.server.is_silent() && may_receive(&self.server) {
            match self.server.poll_receive(&mut self.bells.server.context()) {
                Poll::Ready(Ok(Arrived::Bytes)) => turn = Turn::Moved,
                Poll::Ready(Ok(Arrived::End(kind))) => end = Some(kind),
                Poll::Ready(Err(fault)) => return Err(fault),
                Poll::Pending => self.bells.server.wait(),
            }
        }
        if !self.server.plain_in.is_empty() && !stuck {
            let before = self.server.plain_in.len();
            let relayed = to_client(
                &mut self.link,
                &mut self.server.plain_in,
                self.client.room(),
            );
            if self.server.plain_in.len() != before {
                turn = Turn::Moved;
                self.watch.moved();
            }
            let sent = self.client.poll_send(cx)?;
            if relayed? == Relayed::ServerEnding {
                self.link.ending = true;
            }
            if sent.is_pending() {
                return Ok(turn);
            }
        }
        if let Upstream::Broken(fault) = &self.upstream
            && (self.link.ledger.is_empty() || end.is_some())
            && self.link.between_frames()
        {
            return Err(fault.clone());
        }
        match end {
            Some(_) if self.upstream == Upstream::Terminated => Ok(Turn::End(Ending::Terminated)),
            Some(_) if self.link.ending => Ok(Turn::End(Ending::ServerEnded)),
            Some(kind) => Err(Fault::new(
                Side::Server,
                FaultKind::Lost {
                    truncated: kind == EndOfInput::Truncated,
                },
            )),
            None => Ok(turn),
        }
    }

    /// Nothing moves: watch deadlines, and a client that isn't being read.
    fn sleep(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if self.keeper.wants_end() && self.link.is_idle() {
            return Poll::Ready(Ending::Fault(Fault::new(Side::Proxy, FaultKind::WornKeys)));
        }
        let unread = self.server.has_output()
            || !may_receive(&self.client)
            || self.upstream != Upstream::Open;
        loop {
            match self.watch.poll(cx, unread, &self.client.socket, &self.link) {
                Watched::Sleep => return Poll::Pending,
                Watched::End(ending) => return Poll::Ready(ending),
                Watched::GiveUp => {
                    return Poll::Ready(match &self.upstream {
                        Upstream::Broken(fault) => Ending::Fault(fault.clone()),
                        Upstream::Open | Upstream::Terminated => Ending::Terminated,
                    });
                }
                Watched::Rest => {
                    self.client.hibernate();
                    self.server.hibernate();
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

/// True if a record's plaintext fits.
#[inline]
fn may_receive(port: &Port) -> bool {
    PLAIN_BYTES - port.plain_in.len() >= Engine::PLAIN_MIN
}
