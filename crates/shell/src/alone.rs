//! Owns a client that has no server connection: it is read until it asks for something, leaves, or has to
//! go. What was still to be written to it goes out meanwhile.

use crate::client::{ClientSide, Ending};
use crate::lend;
use crate::port::Arrived;
use crate::pump::may_receive;
use crate::watch::Watched;
use session::fault::{Fault, FaultKind, Side};
use session::relay::{Opening, opening};
use std::task::{Context, Poll};
use tls::EndOfInput;

/// Reads before other sessions of the worker get theirs.
const TURNS_MAX: usize = 16;

/// How the time alone ended.
#[derive(Debug)]
pub enum Alone {
    /// A request lies in the client's input.
    Request,
    /// The session is over.
    End(Ending),
}

impl ClientSide {
    /// Ready when the client asks for something, or its session ends.
    pub fn poll_alone(&mut self, cx: &mut Context<'_>) -> Poll<Alone> {
        if self.watch.is_suspended() {
            self.bells.listen(cx.waker());
            return self.stand_still_alone(cx);
        }
        match self.alone(cx) {
            Ok(Some(alone)) => Poll::Ready(alone),
            Ok(None) => Poll::Pending,
            Err(fault) => Poll::Ready(Alone::End(Ending::Fault(fault))),
        }
    }

    fn alone(&mut self, cx: &mut Context<'_>) -> Result<Option<Alone>, Fault> {
        self.bells.listen(cx.waker());
        if let Some(now_s) = self.keeper.next_second() {
            let due = self.keeper.tick_alone(now_s, &mut self.port)?;
            self.watch.wake_at(due);
        }
        for _ in 0..TURNS_MAX {
            let stuck = self.port.has_output() && self.port.poll_send(cx)?.is_pending();
            match opening(&mut self.stream, &mut self.port.plain_in)? {
                // Who doesn't take what it has asked for gets no server to ask for more.
                Opening::Request if !stuck => return Ok(Some(Alone::Request)),
                Opening::Terminated => return Ok(Some(Alone::End(Ending::Terminated))),
                Opening::Request | Opening::Nothing => {}
            }
            let reads = !stuck || self.port.withholds();
            if !reads || self.bells.client.is_silent() || !may_receive(&self.port) {
                self.port.rest();
                return Ok(self.sleep(cx, stuck));
            }
            match self.port.poll_receive(&mut self.bells.client.context())? {
                Poll::Ready(Arrived::Bytes) => self.watch.moved(),
                Poll::Ready(Arrived::End(kind)) => {
                    let truncated = kind == EndOfInput::Truncated;
                    return Ok(Some(Alone::End(Ending::ClientGone { truncated })));
                }
                Poll::Pending => self.bells.client.wait(),
            }
        }
        cx.waker().wake_by_ref();
        Ok(None)
    }

    fn sleep(&mut self, cx: &mut Context<'_>, unread: bool) -> Option<Alone> {
        if self.keeper.wants_end() {
            let fault = Fault::new(Side::Proxy, FaultKind::WornKeys);
            return Some(Alone::End(Ending::Fault(fault)));
        }
        loop {
            match self.watch.poll(cx, unread, &self.port.socket, None) {
                Watched::Sleep => return None,
                Watched::End(ending) => return Some(Alone::End(ending)),
                // Nothing is waited for here.
                Watched::GiveUp => return Some(Alone::End(Ending::Terminated)),
                Watched::Rest => {
                    self.port.hibernate();
                    lend::rest(1);
                }
            }
        }
    }
}
