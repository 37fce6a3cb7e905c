//! Owns what all actors of a world share: time, chance, pipes, backends, the pool, and the first
//! violation that anybody saw.

use crate::backend::Model;
use crate::chance::Chance;
use crate::frames::owners;
use crate::link::Link;
use crate::pipe::Pipe;
use crate::place::{Key, Leased, Place};
use crate::plan::{Mutation, Plan};
use crate::trace::Trace;
use session::lending::{Asking, Awaiting};
use session::reset::Reset;
use session::statements::Interner;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;

/// A server process with the pipes that lead to it.
#[derive(Debug)]
pub struct Backend {
    /// What it is.
    pub model: Model,
    /// Towards it.
    pub up: Pipe,
    /// From it.
    pub down: Pipe,
    /// Its role.
    pub group: u64,
    /// The client that it works for.
    pub owner: Option<usize>,
    /// Until when it works on the message in front.
    pub busy_until: Option<u64>,
    /// The message in front is to be cancelled.
    pub cancelled: bool,
    /// Cancels on their way to it (`Target::under_way`).
    pub aimed: usize,
    /// It died or was ended by trouble.
    pub failed: bool,
    /// The proxy has closed its end.
    pub closed: bool,
}

impl Backend {
    /// It is killed: of what it said only so many bytes are still on their way.
    pub fn die(&mut self, left: usize) {
        self.failed = true;
        self.model.hang_up();
        self.model.output.clear();
        self.down.cut(left);
    }
}

/// What goes on with a server connection without its client.
#[derive(Debug)]
pub enum Task {
    /// Until no cancel is on its way (`give_back`).
    Hold,
    /// Has to answer then.
    Check(Reset),
    /// `DISCARD ALL` (`bring_to_rest`); untouched by cancels.
    Reset(Reset, bool),
    /// Its last words go out.
    Close,
}

/// A server connection without a client.
#[derive(Debug)]
pub struct Job {
    /// What is done with it.
    pub task: Task,
    /// The connection.
    pub link: Box<Link>,
    /// Its lease; `None` if that was given back before.
    pub leased: Option<Leased>,
    /// Under what it may rest.
    pub key: Key,
    /// When it is given up.
    pub until: u64,
}

/// An exchange of ours with a server while a client has it.
pub enum Exchange {
    /// Wishes that nobody has tried.
    Try(Awaiting),
    /// Wishes that are awaited.
    Settle(Awaiting),
    /// What became of parameters.
    Ask(Box<Asking>),
    /// Back to the client's wishes.
    Restore(Awaiting),
    /// Whether it lives.
    Wake(Reset),
}

/// See the module.
pub struct Shared {
    /// Microseconds since the beginning.
    pub now: u64,
    /// What decides.
    pub chance: Chance,
    /// The world's rules.
    pub plan: Plan,
    /// From each client, to each client.
    pub wires: Vec<(Pipe, Pipe)>,
    /// All there ever were.
    pub backends: Vec<Backend>,
    /// The pool.
    pub place: Place,
    /// Connections without a client.
    pub jobs: Vec<Job>,
    /// Statements that clients share.
    pub interner: Interner,
    /// Servers refuse connections until then.
    pub down_until: u64,
    /// Cancels that each client has sent.
    pub cancels: Vec<usize>,
    /// Clients that keep a connection.
    pub pinned: usize,
    /// Stamps of rows that were inserted, and of those whose transaction was committed.
    pub inserted: BTreeSet<String>,
    /// See `inserted`.
    pub committed: BTreeSet<String>,
    /// The last steps.
    pub trace: Trace,
    /// The first thing that may not be.
    pub violation: Option<String>,
    /// How often each mutation may still act.
    pub mutated: u64,
}

impl Shared {
    /// Notes a step.
    pub fn note(&mut self, step: Arguments<'_>) {
        self.trace.note(self.now, step);
    }

    /// Notes what may not be.
    pub fn violate(&mut self, what: String) {
        self.trace.note(self.now, format_args!("VIOLATION: {what}"));
        self.violation.get_or_insert(what);
    }

    /// True if this is done wrong here, on purpose.
    pub fn breaks(&mut self, mutation: Mutation) -> bool {
        let breaks = self.plan.mutation == Some(mutation);
        self.mutated += u64::from(breaks);
        breaks
    }

    /// A new server process, and what it reports at the login.
    pub fn start_backend(&mut self, group: u64) -> (usize, Vec<u8>) {
        let mut model = Model::new(BTreeMap::new());
        let reports = std::mem::take(&mut model.output);
        self.backends.push(Backend {
            model,
            up: Pipe::new(64 * 1024),
            down: Pipe::new(32 * 1024),
            group,
            owner: None,
            busy_until: None,
            cancelled: false,
            aimed: 0,
            failed: false,
            closed: false,
        });
        (self.backends.len() - 1, reports)
    }

    /// A server works; true if something happened.
    pub fn serve(&mut self, at: usize) -> bool {
        let now = self.now;
        let backend = &mut self.backends[at];
        if backend.down.closed {
            return false;
        }
        let mut moved = false;
        if !backend.up.is_empty() {
            let count = self.chance.chunk(backend.up.len());
            let bytes = backend.up.read(count);
            backend.model.receive(&bytes);
            moved = true;
        }
        // PostgreSQL doesn't go on while its answers aren't read.
        if backend.model.output.is_empty()
            && let Some((tag, body)) = backend.model.next()
        {
            let cancellable = matches!(tag, b'Q' | b'E');
            match backend.busy_until {
                None => {
                    let takes = match (cancellable, self.chance.below(8)) {
                        (false, _) => 0,
                        (true, 0) => self.chance.below(50_000),
                        (true, _) => self.chance.below(400),
                    };
                    if matches!(tag, b'Q' | b'B' | b'd') {
                        let (body, owner) = (body.to_vec(), backend.owner);
                        let strange = owners(&body).into_iter().find(|it| Some(*it) != owner);
                        if let Some(strange) = strange {
                            self.violate(format!(
                                "server {at} works for {owner:?} and was sent bytes of client {strange}"
                            ));
                        }
                    }
                    self.backends[at].busy_until = Some(now + takes);
                    moved = true;
                }
                Some(until) if until <= now => {
                    let text = body[..body.len().min(60)].escape_ascii().to_string();
                    let tag = tag as char;
                    backend.busy_until = None;
                    if std::mem::take(&mut backend.cancelled) {
                        let which = 1 + self.chance.below(3);
                        backend.model.cancel_at = Some(backend.model.begun + which);
                    }
                    let from = backend.model.produced();
                    backend.model.step();
                    let told = backend.model.told_since(from);
                    moved = true;
                    self.note(format_args!(
                        "server {at} does '{tag}' {text} and says {told}"
                    ));
                    self.stored(at);
                }
                Some(_) => {}
            }
        }
        let backend = &mut self.backends[at];
        if backend.closed {
            // Nobody reads any more.
            backend.model.output.clear();
            let pending = backend.down.len();
            backend.down.read(pending);
        }
        let count = self
            .chance
            .chunk(backend.model.output.len().min(backend.down.room()));
        let bytes: Vec<_> = backend.model.output.drain(..count).collect();
        backend.down.write(&bytes);
        if backend.model.output.is_empty()
            && (backend.model.ended
                || (backend.up.closed && backend.model.next().is_none() && backend.up.is_empty()))
        {
            backend.model.hang_up();
            backend.down.closed = true;
            self.note(format_args!("server {at} ends"));
            return true;
        }
        moved || count > 0
    }

    fn stored(&mut self, at: usize) {
        let model = &mut self.backends[at].model;
        let inserted = std::mem::take(&mut model.inserted);
        self.committed
            .append(&mut model.committed.drain(..).collect());
        for stamp in inserted {
            if !self.inserted.insert(stamp.clone()) {
                self.violate(format!("{stamp} was executed twice"));
            }
        }
    }

    /// A server connection goes without another word.
    pub fn discard(&mut self, link: Box<Link>) {
        let backend = &mut self.backends[link.backend];
        backend.up.closed = true;
        backend.closed = true;
    }

    /// Connections whose lease went without them.
    pub fn discard_dropped(&mut self) {
        for link in std::mem::take(&mut self.place.dropped) {
            self.jobs.push(Job {
                task: Task::Close,
                until: self.now + CLOSE,
                link,
                leased: None,
                key: 0,
            });
        }
    }
}

/// How long goodbyes, and exchanges between two clients, may take.
pub const CLOSE: u64 = 3_000_000;

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Exchange::Try(_) => "Try",
            Exchange::Settle(_) => "Settle",
            Exchange::Ask(_) => "Ask",
            Exchange::Restore(_) => "Restore",
            Exchange::Wake(_) => "Wake",
        })
    }
}
