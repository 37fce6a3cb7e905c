//! Owns making a server connection as it was after its login, so that another client can have it:
//! the transaction rolled back, DISCARD ALL, and nothing left that was asked for.
//!
//! DISCARD ALL (manual, "DISCARD") closes cursors, drops prepared statements and temporary tables,
//! unlistens, gives up advisory locks, returns the role and all settings to what the startup packet
//! said. What it cannot take back, a library that was loaded or what a procedural language keeps,
//! is why a connection does not live for ever.
//!
//! Takes the server's plaintext. Whatever is not a plain success is a fault: a connection in doubt
//! is closed.

use crate::fault::{Fault, FaultKind, Side};
use crate::ledger::{Request, Status};
use crate::lending::Standing;
use crate::server::Server;
use buf::{Full, Plain};
use wire::frame::{Frame, whole};
use wire::{Message, from_client, from_server};

/// Messages that a reset, or a rest, may bring: notices, notifications, parameters.
const MESSAGES_MAX: usize = 1000;

/// A reset under way.
#[derive(Debug, Default)]
pub struct Reset {
    messages: usize,
}

impl Server {
    /// True if the connection can be made as new: all that was asked for is answered, nothing is
    /// half-sent, the server has not said goodbye, and nobody wants it closed.
    pub fn may_be_reset(&self) -> bool {
        self.ledger.is_closed()
            && self.between_frames()
            && !self.ending
            && !self.traffic.close_needed()
    }

    /// Takes in what came while nobody had the connection: news of parameters, notices. Anything
    /// else, a goodbye included, is a fault.
    pub fn rested(&mut self, input: &mut Plain) -> Result<(), Fault> {
        let mut messages = 0;
        while let Some(taken) = take(self, input, &mut messages)? {
            if taken == Taken::Reply {
                return Err(unexpected(b'Z'));
            }
        }
        match input.is_empty() {
            true => Ok(()),
            // Half a message: nobody waits for its rest.
            false => Err(unexpected(input.bytes()[0])),
        }
    }
}

impl Reset {
    /// Appends what has to be asked, and begins to await the answers.
    pub fn begin(server: &mut Server, output: &mut Plain) -> Result<Reset, Full> {
        server.again.drop();
        if server.status != Status::Idle {
            ask(server, "ROLLBACK", output)?;
        }
        // Alone in its message: it may not run inside a transaction block.
        ask(server, "DISCARD ALL", output)?;
        server.statements.clear();
        server.standing = Standing::default();
        Ok(Reset { messages: 0 })
    }

    /// Appends a Sync instead: has only to be answered. A cancel request that was still on its way
    /// to the server finds nothing to cancel then.
    pub fn check(server: &mut Server, output: &mut Plain) -> Result<Reset, Full> {
        from_client::Sync.encode(output)?;
        server.ledger.request(Request::Sync);
        Ok(Reset { messages: 0 })
    }

    /// Takes the answers off `input`; `None` asks for more.
    pub fn step(&mut self, server: &mut Server, input: &mut Plain) -> Result<Option<()>, Fault> {
        while !server.is_idle() {
            if take(server, input, &mut self.messages)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }
}

fn ask(server: &mut Server, sql: &str, output: &mut Plain) -> Result<(), Full> {
    from_client::Query { sql: sql.into() }.encode(output)?;
    server.ledger.request(Request::Query);
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Taken {
    /// Part of an answer.
    Reply,
    /// Something that may come at any time.
    News,
}

/// Takes one message; `None` if it isn't here yet.
fn take(
    server: &mut Server,
    input: &mut Plain,
    messages: &mut usize,
) -> Result<Option<Taken>, Fault> {
    let limit = |tag| from_server::limit(tag).unwrap_or(0).min(from_server::SHORT);
    let frame = whole(input.bytes(), limit).map_err(|fault| {
        let (tag, len) = (fault.tag, fault.len);
        Fault::new(Side::Server, FaultKind::BadLength { tag, len })
    })?;
    let Some(frame) = frame else {
        return Ok(None);
    };
    *messages += 1;
    if *messages > MESSAGES_MAX {
        return Err(unexpected(frame.tag));
    }
    let total = frame.total;
    let taken = settle(server, &frame);
    input.consume(total);
    taken.map(Some)
}

fn settle(server: &mut Server, frame: &Frame<'_>) -> Result<Taken, Fault> {
    match frame.tag {
        b'N' | b'A' => Ok(Taken::News),
        b'S' => server.report(frame.body).map(|()| Taken::News),
        b'C' => {
            server.reply(b'C')?;
            server.done(frame.body);
            Ok(Taken::Reply)
        }
        b'Z' => server.ready(frame.body).map(|_| Taken::Reply),
        tag => Err(unexpected(tag)),
    }
}

fn unexpected(tag: u8) -> Fault {
    let phase = "the rest between two clients";
    Fault::new(Side::Server, FaultKind::OutOfPhase { tag, phase })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reported;
    use wire::ProtocolVersion;

    fn server(status: Status) -> Server {
        let mut server = Server::new(ProtocolVersion::V3_0, None, Reported::default());
        server.status = status;
        server
    }

    fn plain(bytes: &[u8]) -> Plain {
        let mut plain = Plain::with_capacity(4096);
        plain.push(bytes).unwrap();
        plain
    }

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u32 + 4).to_be_bytes();
        [&[tag][..], &len, body].concat()
    }

    fn done(tag: &str) -> Vec<u8> {
        let tag = format!("{tag}\0");
        [message(b'C', tag.as_bytes()), message(b'Z', b"I")].concat()
    }

    #[test]
    fn a_transaction_is_rolled_back_first() {
        for (status, wanted) in [
            (Status::Idle, &b"Q\0\0\0\x10DISCARD ALL\0"[..]),
            (
                Status::InTransaction,
                b"Q\0\0\0\x0dROLLBACK\0Q\0\0\0\x10DISCARD ALL\0",
            ),
            (
                Status::Failed,
                b"Q\0\0\0\x0dROLLBACK\0Q\0\0\0\x10DISCARD ALL\0",
            ),
        ] {
            let mut output = Plain::with_capacity(4096);
            let mut server = server(status);
            Reset::begin(&mut server, &mut output).unwrap();
            assert_eq!(output.bytes(), wanted);
            assert!(!server.may_be_reset());
        }
    }

    #[test]
    fn it_is_done_when_all_answers_have_come_however_they_are_cut() {
        let answers = [
            done("ROLLBACK"),
            message(b'S', b"TimeZone\0UTC\0"),
            message(b'N', b"SNOTICE\0\0"),
            message(b'A', b"\0\0\0\x07channel\0\0"),
            done("DISCARD ALL"),
        ]
        .concat();
        for cut in 0..answers.len() {
            let mut server = server(Status::Failed);
            let mut reset = Reset::begin(&mut server, &mut Plain::with_capacity(64)).unwrap();
            let mut input = plain(&answers[..cut]);
            assert_eq!(reset.step(&mut server, &mut input), Ok(None), "{cut}");
            input.push(&answers[cut..]).unwrap();
            assert_eq!(reset.step(&mut server, &mut input), Ok(Some(())), "{cut}");
            assert!(server.is_idle() && server.may_be_reset() && input.is_empty());
            assert_eq!(server.reported.value("TimeZone"), Some(&b"UTC"[..]));
        }
    }

    #[test]
    fn whatever_is_no_plain_success_closes_the_connection() {
        for answer in [
            message(b'E', b"SERROR\0VERROR\0C57014\0\0"),
            message(b'T', b"\0\0"),
            message(b'D', b"\0\0"),
            message(b'1', b""),
            message(b'G', b"\0\0\0"),
            message(b'R', b"\0\0\0\0"),
            [message(b'C', b"DISCARD ALL\0"), message(b'Z', b"X")].concat(),
            b"C\0\0\0\x03".to_vec(),
            b"C\x7f\xff\xff\xff".to_vec(),
            message(b'N', b"SNOTICE\0\0").repeat(MESSAGES_MAX + 1),
        ] {
            let mut server = server(Status::Idle);
            let mut reset = Reset::begin(&mut server, &mut Plain::with_capacity(64)).unwrap();
            let mut input = Plain::with_capacity(1 << 20);
            input.push(&answer).unwrap();
            assert!(reset.step(&mut server, &mut input).is_err());
        }
        // Still in a transaction after all that: not done, and not to be given to anybody.
        let mut server = server(Status::Idle);
        let mut reset = Reset::begin(&mut server, &mut Plain::with_capacity(64)).unwrap();
        let mut input = plain(&[message(b'C', b"DISCARD ALL\0"), message(b'Z', b"T")].concat());
        assert_eq!(reset.step(&mut server, &mut input), Ok(None));
    }

    #[test]
    fn a_batch_without_its_sync_is_not_reset() {
        let mut server = server(Status::Idle);
        assert!(server.may_be_reset());
        for request in [Request::Parse, Request::Bind, Request::Execute] {
            server.ledger.request(request);
        }
        for tag in *b"12C" {
            server.ledger.reply(tag).unwrap();
        }
        assert!(server.ledger.is_settled() && !server.may_be_reset());
        server.ledger.request(Request::Sync);
        server.ledger.ready().unwrap();
        assert!(server.may_be_reset());
    }

    #[test]
    fn news_may_come_at_rest_and_nothing_else() {
        let news = [
            message(b'S', b"TimeZone\0UTC\0"),
            message(b'N', b"SNOTICE\0\0"),
        ]
        .concat();
        assert_eq!(server(Status::Idle).rested(&mut plain(&news)), Ok(()));
        assert_eq!(server(Status::Idle).rested(&mut plain(b"")), Ok(()));
        for bad in [
            message(b'E', b"SFATAL\0VFATAL\0C57P01\0\0"),
            message(b'Z', b"I"),
            message(b'C', b"SELECT 1\0"),
            news[..7].to_vec(),
        ] {
            assert!(server(Status::Idle).rested(&mut plain(&bad)).is_err());
        }
    }
}
