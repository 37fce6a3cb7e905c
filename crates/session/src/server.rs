//! Owns what Portcullis knows of one server connection: what it owes, its transaction status, the
//! parameters it reported, who it is. Made by a login, lent to a client.

use crate::fault::{Fault, FaultKind, Side};
use crate::inspect::Inspector;
use crate::ledger::{Fate, Ledger, OutOfTurn, Status};
use crate::lending::Standing;
use crate::relay::tags::is_all_gone;
use crate::statements::{Again, Lease, There};
use crate::traffic::Traffic;
use crate::wishes::{Wishes, lexing_of};
use buf::{Full, Plain, Secret};
use sql::Lexing;
use std::sync::Arc;
use wire::from_server::{BackendKeyData, ParameterStatus};
use wire::{Message, ProtocolVersion, Text};

/// One server connection after its login.
#[derive(Debug)]
pub struct Server {
    /// What it owes.
    pub ledger: Ledger,
    /// Bytes of the current frame that pass without being looked at.
    pub(crate) passing: usize,
    /// Bytes of the current frame that are dropped.
    pub(crate) dropping: usize,
    /// Status of the last ReadyForQuery.
    pub status: Status,
    /// What it reported.
    pub reported: Reported,
    /// Process id and cancel key, until somebody takes them; some servers have none.
    pub key: Option<Box<BackendKeyData>>,
    /// The version that both sides agreed on.
    pub version: ProtocolVersion,
    /// A FATAL ErrorResponse has passed: the connection ends by the server's will.
    pub ending: bool,
    /// ReadyForQuery outside a transaction so far, of clients' requests.
    pub rounds: u64,
    /// Prepared statements that it holds.
    pub statements: There,
    /// A batch that may have to be sent again.
    pub again: Again,
    /// What was asked of it since it was lent.
    pub lease: Lease,
    /// What stands on it.
    pub standing: Standing,
    /// Watches what the client has executed, if that is wanted.
    pub inspector: Option<Box<Inspector>>,
    /// What others may know of it.
    pub traffic: Arc<Traffic>,
    /// Queries of ours in front of the client's messages whose ReadyForQuery is still to come.
    in_front: usize,
}

impl Server {
    /// A connection whose login has just ended with ReadyForQuery.
    pub fn new(
        version: ProtocolVersion,
        key: Option<BackendKeyData>,
        reported: Reported,
    ) -> Server {
        Server {
            ledger: Ledger::new(),
            passing: 0,
            dropping: 0,
            status: Status::Idle,
            reported,
            key: key.map(Box::new),
            version,
            ending: false,
            rounds: 0,
            statements: There::default(),
            again: Again::default(),
            lease: Lease::default(),
            standing: Standing::default(),
            inspector: None,
            traffic: Arc::default(),
            in_front: 0,
        }
    }

    /// Bytes to the end of the frame that is half-sent to the client; 0 if none is.
    pub fn rest_of_frame(&self) -> usize {
        self.passing
    }

    /// True if the stream to the client stands between two frames, so that a message of our own
    /// may follow.
    pub fn between_frames(&self) -> bool {
        self.passing == 0 && self.dropping == 0
    }

    /// True if its client could go on with another server connection: nothing is owed or half-sent, no
    /// transaction and no batch of the extended protocol is open.
    #[inline]
    pub fn may_part(&self) -> bool {
        self.status == Status::Idle
            && self.ledger.is_closed()
            && self.between_frames()
            && !self.ending
            && !self.again.is_due()
    }

    /// True if nothing is under way: no debt, no transaction.
    pub fn is_idle(&self) -> bool {
        self.status == Status::Idle
            && self.ledger.is_settled()
            && self.between_frames()
            && !self.again.is_due()
    }

    /// Notes a ParameterStatus.
    pub(crate) fn report(&mut self, body: &[u8]) -> Result<(), Fault> {
        self.reported.note(body)
    }

    /// Settles a reply.
    #[inline]
    pub(crate) fn reply(&mut self, tag: u8) -> Result<Fate, Fault> {
        self.ledger.reply(tag).map_err(turn)
    }

    /// Notes the tag of a CommandComplete that may tell of prepared statements.
    pub(crate) fn done(&mut self, tag: &[u8]) {
        if is_all_gone(tag) {
            self.statements.clear();
        }
    }

    /// Queries that make it ready for a client stand in front of that client's messages.
    pub(crate) fn put_in_front(&mut self, queries: usize) {
        self.in_front = queries;
        self.traffic.set_made_ready(queries > 0);
    }

    /// Settles a ReadyForQuery and notes its status.
    #[inline]
    pub(crate) fn ready(&mut self, body: &[u8]) -> Result<Fate, Fault> {
        self.status = match body {
            [byte] => Status::from_byte(*byte),
            _ => None,
        }
        .ok_or_else(|| {
            Fault::new(
                Side::Server,
                FaultKind::Malformed {
                    tag: b'Z',
                    what: "transaction status",
                },
            )
        })?;
        let fate = self.ledger.ready().map_err(turn)?;
        if self.in_front > 0 {
            self.in_front -= 1;
            self.traffic.set_made_ready(self.in_front > 0);
        }
        if fate != Fate::Swallow && self.status == Status::Idle {
            self.rounds += 1;
        }
        Ok(fate)
    }
}

fn turn(out_of_turn: OutOfTurn) -> Fault {
    Fault::new(Side::Server, out_of_turn)
}

/// The parameters that a server reported, with their latest values. Values may come from clients
/// (`application_name`), so they are wiped. A dozen of them in one block: every session has these.
#[derive(Debug, Default)]
pub struct Reported {
    /// For each parameter its name and its value, each with a NUL behind it, as in ParameterStatus.
    packed: Option<Secret>,
    /// How the server reads texts whose session has these: asked with every statement.
    lexing: Lexing,
    is_utf8: bool,
}

impl Reported {
    /// PostgreSQL 18 reports 15; a server that reports more names than this is not one.
    const NAMES_MAX: usize = 64;
    /// Bytes of a name; PostgreSQL cuts identifiers to 63.
    const NAME_BYTES_MAX: usize = 63;

    /// Takes in a ParameterStatus.
    pub(crate) fn note(&mut self, body: &[u8]) -> Result<(), Fault> {
        let absurd = |what| Fault::new(Side::Server, FaultKind::Malformed { tag: b'S', what });
        let status = ParameterStatus::decode(body).map_err(|_| absurd("two strings"))?;
        let name = std::str::from_utf8(&status.name).map_err(|_| absurd("name"))?;
        if name.is_empty() || name.len() > Self::NAME_BYTES_MAX {
            return Err(absurd("length of the name"));
        }
        let known = self.value(name).is_some();
        if !known && self.pairs().count() >= Self::NAMES_MAX {
            return Err(absurd("number of parameters"));
        }
        let old = self.packed.as_ref().map_or(0, Secret::len);
        // Room for all from the start: a block that was outgrown would be freed with its content.
        let mut packed = Vec::with_capacity(old + body.len());
        let mut put = |name: &[u8], value: &[u8]| {
            for part in [name, value] {
                packed.extend_from_slice(part);
                packed.push(0);
            }
        };
        for (other, value) in self.pairs() {
            match other == name.as_bytes() {
                true => put(other, &status.value),
                false => put(other, value),
            }
        }
        if !known {
            put(name.as_bytes(), &status.value);
        }
        self.packed = Some(Secret::from_vec(packed));
        match name {
            "client_encoding" | "standard_conforming_strings" => {
                self.lexing = lexing_of(&Wishes::default(), self, Lexing::default().len_max);
            }
            "server_encoding" => self.is_utf8 = &*status.value == b"UTF8",
            _ => {}
        }
        Ok(())
    }

    /// How a server reads texts whose session has these parameters.
    #[inline]
    pub(crate) fn lexing(&self) -> Lexing {
        self.lexing
    }

    /// True if the database is in UTF-8.
    #[inline]
    pub(crate) fn is_utf8(&self) -> bool {
        self.is_utf8
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let packed = self.packed.as_ref().map_or(&[][..], Secret::expose);
        let mut parts = packed.split(|byte| *byte == 0);
        // Behind the last NUL there is one empty part more, which is no pair.
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    /// Appends all of them as ParameterStatus: what a client is told that gets a connection which
    /// somebody else had before.
    pub fn put(&self, output: &mut Plain) -> Result<(), Full> {
        for (name, value) in self.pairs() {
            let status = ParameterStatus {
                name: Text::cut(name),
                value: Text::cut(value),
            };
            status.encode(output)?;
        }
        Ok(())
    }

    /// The latest value of a parameter.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let found = self.pairs().find(|(known, _)| *known == name.as_bytes());
        found.map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_values_are_kept_in_the_order_of_the_names() {
        let mut reported = Reported::default();
        assert_eq!((reported.pairs().count(), reported.value("a")), (0, None));
        for body in [
            &b"a\0one\0"[..],
            b"b\0\0",
            b"c\0three\0",
            b"a\0longer\0",
            b"b\x002\0",
        ] {
            reported.note(body).unwrap();
        }
        let pairs: Vec<_> = reported.pairs().collect();
        let wanted: [(&[u8], &[u8]); 3] = [(b"a", b"longer"), (b"b", b"2"), (b"c", b"three")];
        assert_eq!(pairs, wanted);
        assert_eq!(reported.value("c"), Some(&b"three"[..]));
        assert_eq!(reported.value("three"), None);
        for body in [&b"\0x\0"[..], b"no value\0", b"a\0b\0c\0"] {
            assert!(reported.note(body).is_err(), "{body:?}");
        }
        assert_eq!(reported.pairs().count(), 3);
    }
}
