//! Owns what a session does while all are to stand still (SUSPEND): the frame that is half-sent goes out to
//! its end, in both directions; what lies in buffers of TLS is flushed; then nothing is read until it may
//! move again.

use crate::alone::Alone;
use crate::client::{ClientSide, Ending};
use crate::port::{Arrived, Port};
use crate::pump::Pump;
use buf::Plain;
use session::fault::{Fault, FaultKind, Side};
use session::relay::{Relayed, to_client, to_server};
use std::task::{Context, Poll};
use tls::EndOfInput;

/// Reads in a row before other sessions get their turn.
const TURNS_MAX: usize = 16;

/// How far a session is.
enum Stand {
    /// It waits for a socket.
    Waits,
    /// It has moved, and is looked at again.
    Moved,
    /// It stands still.
    Still,
}

impl Pump<'_> {
    /// Instead of a turn while all are to stand still.
    #[cold]
    pub(crate) fn stand_still(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        for _ in 0..TURNS_MAX {
            let stand = match self.finish_frames(cx) {
                Ok(stand) => stand,
                Err(ending) => return Poll::Ready(ending),
            };
            let moves = !matches!(stand, Stand::Still);
            if let Some(ending) = self.client.watch.hold(cx, moves) {
                return Poll::Ready(ending);
            }
            if !matches!(stand, Stand::Moved) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn finish_frames(&mut self, cx: &mut Context<'_>) -> Result<Stand, Ending> {
        let to_server = self.rest_to_server()?;
        let to_client = self.rest_to_client()?;
        let (client, server) = (&mut self.client.port, &mut self.server.port);
        let flushed = flush(cx, client)? & flush(cx, server)?;
        let moved = |it: &Stand| matches!(it, Stand::Moved);
        let still = |it: &Stand| matches!(it, Stand::Still);
        Ok(if moved(&to_server) || moved(&to_client) {
            Stand::Moved
        } else if still(&to_server) && still(&to_client) && flushed {
            Stand::Still
        } else {
            Stand::Waits
        })
    }

    /// The rest of a frame that the server has begun to get.
    fn rest_to_server(&mut self) -> Result<Stand, Ending> {
        let (stream, port) = (&mut self.client.stream, &mut self.client.port);
        // What was gathered of a frame is still all here.
        let rest = stream.rest_of_frame();
        if rest == 0 {
            return Ok(Stand::Still);
        }
        if self.server.port.has_output() {
            return Ok(Stand::Waits);
        }
        if port.plain_in.is_empty() {
            let bell = &mut self.client.bells.client;
            match port.poll_receive(&mut bell.context()) {
                Poll::Ready(Ok(Arrived::Bytes)) => {}
                Poll::Ready(Ok(Arrived::End(end))) => {
                    let truncated = end == EndOfInput::Truncated;
                    return Err(Ending::ClientGone { truncated });
                }
                Poll::Ready(Err(fault)) => return Err(Ending::Fault(fault)),
                Poll::Pending => return Ok(Stand::Waits),
            }
        }
        let mut part = first(&mut port.plain_in, rest);
        let output = self.server.port.room();
        to_server(stream, &mut self.server.server, &mut part, output).map_err(Ending::Fault)?;
        Ok(Stand::Moved)
    }

    /// The rest of a frame that the client has begun to get.
    fn rest_to_client(&mut self) -> Result<Stand, Ending> {
        let (server, port) = (&mut self.server.server, &mut self.server.port);
        let rest = server.rest_of_frame();
        if rest == 0 {
            return Ok(Stand::Still);
        }
        if self.client.port.has_output() {
            return Ok(Stand::Waits);
        }
        if port.plain_in.is_empty() {
            let bell = &mut self.client.bells.server;
            match port.poll_receive(&mut bell.context()) {
                Poll::Ready(Ok(Arrived::Bytes)) => {}
                Poll::Ready(Ok(Arrived::End(end))) => {
                    let truncated = end == EndOfInput::Truncated;
                    let kind = FaultKind::Lost { truncated };
                    return Err(Ending::Fault(Fault::new(Side::Server, kind)));
                }
                Poll::Ready(Err(fault)) => return Err(Ending::Fault(fault)),
                Poll::Pending => return Ok(Stand::Waits),
            }
        }
        let mut part = first(&mut port.plain_in, rest);
        let output = self.client.port.room();
        let stream = &mut self.client.stream;
        let relayed = to_client(stream, server, &mut part, output).map_err(Ending::Fault)?;
        server.ending |= relayed == Relayed::ServerEnding;
        Ok(Stand::Moved)
    }
}

impl ClientSide {
    /// The same for a client without a server connection.
    #[cold]
    pub(crate) fn stand_still_alone(&mut self, cx: &mut Context<'_>) -> Poll<Alone> {
        let flushed = match flush(cx, &mut self.port) {
            Ok(flushed) => flushed,
            Err(ending) => return Poll::Ready(Alone::End(ending)),
        };
        match self.watch.hold(cx, !flushed) {
            Some(ending) => Poll::Ready(Alone::End(ending)),
            None => Poll::Pending,
        }
    }
}

/// True once all of a port's output is written.
fn flush(cx: &mut Context<'_>, port: &mut Port) -> Result<bool, Ending> {
    if !port.has_output() {
        return Ok(true);
    }
    let sent = port.poll_send(cx).map_err(Ending::Fault)?;
    Ok(sent.is_ready() && !port.has_output())
}

/// Up to `count` bytes from the front of a buffer, in one of their own.
fn first(of: &mut Plain, count: usize) -> Plain {
    let count = count.min(of.len());
    let mut part = Plain::with_capacity(count);
    of.pour(count, &mut part);
    part
}
