//! Owns how a server connection passes from client to client without a trace: what stands on it, what it
//! is told in front of the next client's first message, and what it is asked behind a transaction that
//! may have changed the session.
//!
//! Takes and gives plaintext of the server; the client sees none of it. Whether a client keeps a
//! connection because of what only that one has is said here, too ([`Keep`]).

use crate::client::ClientStream;
use crate::fault::{Fault, FaultKind, ServerWords, Side};
use crate::ledger::{Request, Terms};
use crate::server::Server;
use crate::statements::Dialect;
use crate::wishes::prefix::{Change, Way, bring, must_wait};
use crate::wishes::{Answer, Cleanup, Question, Touched, Wishes, lexing_of};
use buf::{Full, Plain};
use openssl::sha::Sha256;
use sql::Effects;
use std::sync::Arc;
use wire::frame::whole;
use wire::from_server;

/// Texts of more bytes aren't read.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Messages that the answer to a request of ours may take.
const MESSAGES_MAX: usize = 2000;

/// What stands on a server connection, whoever has it or had it last.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The client's number; 0: nobody's yet.
    owner: u64,
    have: Arc<Wishes>,
    cleanup: Cleanup,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing {
            owner: 0,
            have: Wishes::none(),
            cleanup: Cleanup::NONE,
        }
    }
}

/// What one client wants to find on every server connection.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// A number that no other client of the process has; not 0.
    pub owner: u64,
    /// What RESET leads back to.
    pub base: Arc<Wishes>,
    /// What it wants now.
    pub want: Arc<Wishes>,
}

/// How a connection is made ready for another client (`server_reset`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResetRule {
    /// By what the client before is known to have done.
    #[default]
    Auto,
    /// In full, always.
    Always,
    /// Only what this client wants is set.
    Never,
}

/// What becomes of a client that makes what only one server connection has (`pinning`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PinRule {
    /// It keeps the connection.
    #[default]
    Allow,
    /// It loses what it made.
    Refuse,
}

/// What comes after a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The connection goes back.
    No,
    /// First the server is asked what became of the session's parameters.
    AskFirst,
    /// The client keeps it: of these effects.
    Pinned(Effects),
}

/// Brings a server connection to where a client wants it: appends what goes in front of the client's own
/// messages. True if the answers must have come before those are sent.
pub fn lend(
    server: &mut Server,
    client: (&Wanted, &mut ClientStream),
    rule: ResetRule,
    output: &mut Plain,
) -> Result<bool, Full> {
    let (wanted, stream) = client;
    let standing = &server.standing;
    let same = standing.owner == wanted.owner;
    let cleanup = match rule {
        _ if same || standing.owner == 0 => Cleanup::NONE,
        ResetRule::Auto => standing.cleanup,
        ResetRule::Always => Cleanup::ALL,
        ResetRule::Never => Cleanup::NONE,
    };
    stream.link(server);
    if cleanup == Cleanup::NONE && Wishes::same(&server.standing.have, &wanted.want) {
        server.standing.owner = wanted.owner;
        return Ok(false);
    }
    put(server, wanted, cleanup, output)
}

#[cold]
fn put(
    server: &mut Server,
    wanted: &Wanted,
    cleanup: Cleanup,
    output: &mut Plain,
) -> Result<bool, Full> {
    let have = Arc::clone(&server.standing.have);
    let waits = must_wait(&have);
    let way = if waits { Way::Awaited } else { Way::Pipelined };
    let change = Change {
        have: &have,
        want: &wanted.want,
        cleanup,
    };
    let queries = bring(change, way, output)?;
    for _ in 0..queries {
        server.ledger.owe(Request::Query, Terms::SWALLOW);
        server.statements.drop_unnamed();
    }
    server.put_in_front(queries);
    if cleanup.has(Cleanup::STATEMENTS) {
        server.statements.clear();
    }
    server.standing = Standing {
        owner: wanted.owner,
        have: Arc::clone(&wanted.want),
        // What the same client has left stays to be taken back before another one comes.
        cleanup: server.standing.cleanup.without(cleanup),
    };
    Ok(waits && queries > 0)
}

/// Appends what brings a connection back to the wishes of the client that has it, after a RESET that led to
/// the server's own values. False if there is nothing to do.
pub fn restore(server: &mut Server, wanted: &Wanted, output: &mut Plain) -> Result<bool, Full> {
    if Wishes::same(&server.standing.have, &wanted.want) {
        return Ok(false);
    }
    put(server, wanted, Cleanup::NONE, output)?;
    Ok(true)
}

/// Appends what brings a connection to the wishes of a client that nobody has tried yet: the server may
/// refuse them. False if there is nothing to do.
pub fn try_on(server: &mut Server, wanted: &Wanted, output: &mut Plain) -> Result<bool, Full> {
    let have = Arc::clone(&server.standing.have);
    let change = Change {
        have: &have,
        want: &wanted.want,
        cleanup: server.standing.cleanup,
    };
    let queries = bring(change, Way::Awaited, output)?;
    for _ in 0..queries {
        server.ledger.owe(Request::Query, Terms::SWALLOW);
    }
    if server.standing.cleanup.has(Cleanup::STATEMENTS) {
        server.statements.clear();
    }
    server.standing = Standing {
        owner: wanted.owner,
        have: Arc::clone(&wanted.want),
        cleanup: Cleanup::NONE,
    };
    Ok(queries > 0)
}

/// Judges what a client's transaction may have left, and notes it. To be called when the client needs the
/// connection no more for now.
#[inline]
pub fn part(server: &mut Server, rule: PinRule) -> Keep {
    let lease = &server.lease;
    if lease.effects == Effects::NONE && !lease.unknown && !lease.named {
        return Keep::No;
    }
    judge(server, rule)
}

#[cold]
fn judge(server: &mut Server, rule: PinRule) -> Keep {
    let lease = &server.lease;
    let effects = lease.effects;
    let named = lease.named;
    let touches =
        effects.has(Effects::SET | Effects::SET_CONFIG | Effects::DISCARD | Effects::CODE);
    // What SET leaves is asked for, and known then; what code out of sight leaves is not.
    let out_of_sight = effects.has(Effects::CALLS | Effects::CODE | Effects::EXECUTE);
    let left = match (lease.unknown, Cleanup::after(effects)) {
        (true, _) | (false, None) => Cleanup::ALL,
        (false, Some(left)) if touches && !out_of_sight => left.without(Cleanup::SETTINGS),
        (false, Some(left)) => left,
    };
    server.standing.cleanup |= left;
    if (effects.pins() || named) && rule == PinRule::Allow {
        return Keep::Pinned(effects);
    }
    match touches || lease.unknown {
        true => Keep::AskFirst,
        false => Keep::No,
    }
}

/// A question of ours under way.
pub struct Asking {
    question: Question,
    messages: usize,
}

/// What the server said.
#[derive(Debug)]
pub enum Asked {
    /// So it stands.
    Known,
    /// That can't be known, or carried: the client keeps the connection.
    Unknown,
}

impl Asking {
    /// Appends the question what became of the session's parameters; `None` if there is none.
    pub fn begin(
        server: &mut Server,
        wanted: &Wanted,
        output: &mut Plain,
    ) -> Result<Option<Asking>, Full> {
        let mut touched = Touched::new();
        for touch in server.lease.take_touched() {
            touched.note(touch.text.expose(), touch.lexing, touch.effects);
        }
        let code = server.lease.effects.has(Effects::CODE | Effects::EXECUTE);
        if server.lease.unknown || code {
            touched.unknown();
        }
        let blind = touched.is_blind();
        let question = Question::ask(touched, &server.standing.have, &wanted.base, output)?;
        if question.is_some() {
            server.ledger.owe(Request::Query, Terms::SWALLOW);
            server.statements.drop_unnamed();
        }
        // What can't be asked for is lost with the connection, and reset there.
        if blind {
            server.standing.cleanup |= Cleanup::SETTINGS;
        }
        Ok(question.map(|question| Asking {
            question,
            messages: 0,
        }))
    }

    /// Takes the answer off `input`; `None` asks for more of it. What a server may not send, and an
    /// answer that breaks off after a refusal, is a fault.
    pub fn step(&mut self, server: &mut Server, input: &mut Plain) -> Result<Option<Asked>, Fault> {
        while !server.is_idle() {
            let Some((tag, body, total)) = next(input, &mut self.messages)? else {
                return Ok(None);
            };
            let taken = match tag {
                b'N' | b'A' => Ok(()),
                b'S' => {
                    server.report(body)?;
                    Ok(())
                }
                b'Z' => server.ready(body).map(|_| Ok(()))?,
                tag => {
                    server.reply(tag)?;
                    self.question.take(tag, body)
                }
            };
            input.consume(total);
            if taken.is_err() {
                self.messages = MESSAGES_MAX;
                return self.drain(server, input);
            }
        }
        Ok(Some(Asked::Known))
    }

    /// After an answer that is none: only ReadyForQuery is waited for.
    fn drain(&mut self, server: &mut Server, input: &mut Plain) -> Result<Option<Asked>, Fault> {
        self.messages = 0;
        while !server.is_idle() {
            let Some((tag, body, total)) = next(input, &mut self.messages)? else {
                // What is still to come is waited for by whoever gets the connection next: nobody.
                return Err(unexpected(b'E'));
            };
            match tag {
                b'N' | b'A' => {}
                b'S' => server.report(body)?,
                b'Z' => {
                    server.ready(body)?;
                }
                tag => {
                    server.reply(tag)?;
                }
            }
            input.consume(total);
        }
        Ok(Some(Asked::Unknown))
    }

    /// Judges the answer once it is [`Asked::Known`]: what the client wants from now on, and what stands.
    pub fn finish(self, server: &mut Server, wanted: &mut Wanted) -> Asked {
        match self.question.finish() {
            Ok(Answer { have, want }) => {
                server.standing.have = have;
                wanted.want = want;
                Asked::Known
            }
            Err(_) => Asked::Unknown,
        }
    }
}

/// The answers to what was put in front, when they are awaited.
#[derive(Debug, Default)]
pub struct Awaiting {
    messages: usize,
    refusal: Option<Fault>,
}

impl Awaiting {
    /// Takes the answers off `input`; `None` asks for more. The server's refusal is a fault with its
    /// words; if the server [is idle](Server::is_idle) then, it stands where it stood before.
    pub fn step(&mut self, server: &mut Server, input: &mut Plain) -> Result<Option<()>, Fault> {
        while !server.is_idle() {
            let Some((tag, body, total)) = next(input, &mut self.messages)? else {
                return Ok(None);
            };
            match tag {
                b'N' | b'A' => {}
                b'S' => server.report(body)?,
                b'Z' => {
                    server.ready(body)?;
                }
                tag => {
                    if tag == b'E' && self.refusal.is_none() {
                        self.refusal = Some(refused(body, &input.bytes()[..total]));
                    }
                    server.reply(tag)?;
                }
            }
            input.consume(total);
        }
        match self.refusal.take() {
            Some(refusal) => Err(refusal),
            None => Ok(Some(())),
        }
    }
}

type Message<'a> = (u8, &'a [u8], usize);

fn next<'a>(input: &'a Plain, messages: &mut usize) -> Result<Option<Message<'a>>, Fault> {
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
    Ok(Some((frame.tag, frame.body, frame.total)))
}

fn unexpected(tag: u8) -> Fault {
    let phase = "the exchange between two clients";
    Fault::new(Side::Server, FaultKind::OutOfPhase { tag, phase })
}

fn refused(body: &[u8], message: &[u8]) -> Fault {
    use wire::Message as _;
    let error = from_server::ErrorResponse::decode(body).ok();
    let sqlstate = error.and_then(|it| it.fields.sqlstate());
    let sqlstate = sqlstate.and_then(|it| it.utf8().map(str::to_owned));
    match sqlstate {
        Some(sqlstate) if sqlstate.len() == 5 => Fault::new(
            Side::Server,
            FaultKind::ServerRefused {
                sqlstate,
                response: ServerWords(message.to_vec()),
            },
        ),
        _ => unexpected(b'E'),
    }
}

/// Parameters that change nothing about what a text means.
const MEANINGLESS: [&str; 6] = [
    "application_name",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",
];

/// A keyed digest of what a client wants: for whoever keeps something by it.
pub fn digest(wanted: &Wanted, key: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(key);
    for (name, value) in wanted.want.iter() {
        for part in [name.as_bytes(), value] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finish()
}

/// How a client's texts are read: by what it wants, and else by what its servers report. `key` is the
/// process's own.
pub fn dialect(wanted: &Wanted, server: &Server, key: &[u8; 32]) -> Dialect {
    let lexing = lexing_of(&wanted.want, &server.reported, TEXT_BYTES_MAX);
    let mut hash = Sha256::new();
    hash.update(key);
    let mut any = false;
    for (name, value) in wanted.want.iter() {
        if MEANINGLESS.contains(&name) {
            continue;
        }
        any = true;
        for part in [name.as_bytes(), value] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    let mut settings = [0; 8];
    if any {
        settings.copy_from_slice(&hash.finish()[..8]);
    }
    Dialect {
        lexing,
        settings: u64::from_be_bytes(settings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reported;
    use crate::wishes::prefix::BYTES_MAX;
    use wire::ProtocolVersion;

    fn server(effects: Effects, unknown: bool) -> Server {
        let mut server = Server::new(ProtocolVersion::V3_0, None, Reported::default());
        server.lease.effects = effects;
        server.lease.unknown = unknown;
        server
    }

    /// Until the last answer to what stands in front of a client's messages, its cancels are held back.
    #[test]
    fn a_connection_says_how_long_it_is_made_ready() {
        let mut server = server(Effects::NONE, false);
        let traffic = Arc::clone(&server.traffic);
        let mut wanted = Wanted {
            owner: 1,
            base: Wishes::none(),
            want: Wishes::none(),
        };
        let mut stream = ClientStream::new(8);
        let mut output = Plain::with_capacity(BYTES_MAX);
        let mut lend = |server: &mut Server, wanted: &Wanted| {
            output.clear();
            let lent = lend(
                server,
                (wanted, &mut stream),
                ResetRule::Always,
                &mut output,
            );
            assert_eq!(lent, Ok(false));
        };
        lend(&mut server, &wanted);
        assert!(!traffic.is_made_ready(), "nothing stands in front");
        wanted.owner = 2;
        lend(&mut server, &wanted);
        for _ in 0..2 {
            assert!(traffic.is_made_ready());
            server.reply(b'C').expect("a reply");
            server.ready(b"I").expect("the end");
        }
        assert!(!traffic.is_made_ready());
    }

    /// What a client left is taken back before the next one, or known from the server.
    #[test]
    fn nothing_out_of_sight_is_taken_for_known() {
        for (effects, unknown, keep, settings) in [
            (Effects::NONE, false, Keep::No, false),
            (Effects::WRITES, false, Keep::No, false),
            (Effects::SET, false, Keep::AskFirst, false),
            (Effects::SET_CONFIG, false, Keep::AskFirst, false),
            (Effects::CALLS, false, Keep::No, true),
            (Effects::CODE, false, Keep::AskFirst, true),
            (Effects::SET | Effects::CODE, false, Keep::AskFirst, true),
            (Effects::SET | Effects::CALLS, false, Keep::AskFirst, true),
            (Effects::NONE, true, Keep::AskFirst, true),
            (Effects::LISTEN, false, Keep::Pinned(Effects::LISTEN), false),
        ] {
            let mut server = server(effects, unknown);
            assert_eq!(part(&mut server, PinRule::Allow), keep, "{effects:?}");
            let cleanup = server.standing.cleanup;
            assert_eq!(cleanup.has(Cleanup::SETTINGS), settings, "{effects:?}");
        }
    }
}
