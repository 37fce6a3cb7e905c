//! Owns one client's session on its worker, in the order of the shell: `life/member.rs` (`share`, `round`,
//! `ask`, `acquire`, `wait`), `life/linked.rs` (`finish`), `alone.rs` and, in `relaying.rs`, `pump.rs`.
//! Each step is one turn of theirs; an await of theirs is a phase here.

mod lending;
mod relaying;

use crate::link::{BUFFER, Link, send};
use crate::place::{Key, Leased};
use crate::plan::Mutation;
use crate::shared::{CLOSE, Exchange, Job, Shared, Task};
use ::session::fault::{Fault, FaultKind, Side};
use ::session::lending::Wanted;
use ::session::relay::{Opening, opening, refuse};
use ::session::reset::Reset;
use ::session::statements::{Mode, Pooled, StatementLimits};
use ::session::wishes::Wishes;
use ::session::{ClientStream, farewell};
use buf::Plain;
use pool::{Group, Home, Ticket};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::startup::StartupMessage;
use wire::{ProtocolVersion, Report, Severity, Sqlstate};

/// Dialects are hashed with it.
pub const SECRET: [u8; 32] = [7; 32];

/// A connection in a client's hands.
#[derive(Debug)]
pub struct Held {
    /// The connection.
    pub link: Box<Link>,
    /// Its lease.
    pub leased: Leased,
}

/// What a cancel of the client's is meant for (`cancel::Aim`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// It does nothing that could be cancelled.
    Nothing,
    /// It waits.
    Wait,
    /// This backend works for it.
    At(usize),
}

/// How a session ended (`client::Ending`).
#[derive(Debug)]
pub enum Ending {
    /// The client sent Terminate.
    Terminated,
    /// The client closed.
    ClientGone,
    /// The server said why, and closed.
    ServerEnded,
    /// Something broke.
    Fault(Fault),
    /// It has not: the transaction is over.
    Parted,
}

/// Whether more may come from the client (`client::Upstream`).
#[derive(Debug, PartialEq, Eq)]
enum Upstream {
    Open,
    Terminated,
}

/// How long it keeps its connection (`client::Keeps`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Round { since: u64 },
    Pinned,
}

/// Where a session is.
#[derive(Debug)]
pub enum Phase {
    /// It needs a connection.
    Acquires,
    /// It waits for one.
    Waits {
        /// Its place in the queue.
        ticket: Ticket,
        /// Since when.
        since: u64,
    },
    /// It connects.
    Dials(Leased, u64),
    /// Portcullis talks to the server.
    Talks(Exchange, Held, u64),
    /// Bytes pass.
    Pumps(Held),
    /// It has no connection, and asks for none.
    Alone,
    /// The last words go out.
    Closes(u64),
    /// It is over.
    Closed,
}

/// One session.
pub struct Session {
    /// Its client.
    pub index: usize,
    /// Its worker.
    pub home: u16,
    /// Its role.
    pub group: u64,
    /// Where it is.
    pub phase: Phase,
    /// What a cancel is meant for.
    pub aim: Aim,
    /// A cancel came while it waited.
    pub cancelled: bool,
    /// It ended for a reason that its client has to accept.
    pub ended: bool,
    stream: ClientStream,
    input: Plain,
    output: Plain,
    wishes: Wanted,
    logged_in: bool,
    upstream: Upstream,
    keeps: Keeps,
    pinned: bool,
}

impl Session {
    /// A client that has proved who it is, whose startup packet sets these.
    pub fn new(index: usize, base: &BTreeMap<String, String>, world: &mut Shared) -> Session {
        let pairs = base
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let packet = StartupMessage::new(ProtocolVersion::V3_0, pairs);
        let base = packet.map_or_else(
            |_| Wishes::none(),
            |it| ::session::wishes::startup::split(&it, &[]).wishes,
        );
        let limits = StatementLimits {
            server_max: world.plan.statements_max,
            ..StatementLimits::default()
        };
        let pooled = Pooled::new(world.interner.clone(), limits, Mode::Transaction);
        let group = world.chance.below(world.plan.groups);
        world.place.groups.push(group);
        let ignores = world.breaks(Mutation::IgnoreGuarantees);
        let guaranteed = world.plan.guaranteed[group as usize];
        world.place.attend(group, guaranteed, ignores);
        Session {
            index,
            home: world.chance.below(u64::from(world.plan.homes)) as u16,
            group,
            phase: Phase::Acquires,
            aim: Aim::Nothing,
            cancelled: false,
            ended: false,
            stream: ClientStream::pooled(0, pooled),
            input: Plain::with_capacity(BUFFER),
            output: Plain::with_capacity(BUFFER),
            wishes: Wanted {
                owner: index as u64 + 1,
                want: Arc::clone(&base),
                base,
            },
            logged_in: false,
            upstream: Upstream::Open,
            keeps: Keeps::Pinned,
            pinned: false,
        }
    }

    /// True if nothing of it is under way, so that its client knows what there is to know.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Alone) && self.output.is_empty()
    }

    /// The lease that it holds.
    pub fn leased(&self) -> Option<&Leased> {
        match &self.phase {
            Phase::Dials(leased, _) => Some(leased),
            Phase::Talks(_, held, _) | Phase::Pumps(held) => Some(&held.leased),
            _ => None,
        }
    }

    /// The backend that it has.
    pub fn backend(&self) -> Option<usize> {
        match &self.phase {
            Phase::Talks(_, held, _) | Phase::Pumps(held) => Some(held.link.backend),
            _ => None,
        }
    }

    /// When it has to be looked at, whatever happens.
    pub fn wakes_at(&self, world: &Shared) -> Option<u64> {
        match &self.phase {
            Phase::Waits { since, .. } => {
                let reserve = since + world.plan.reserve_after;
                let patience = since + world.plan.patience;
                Some(if reserve > world.now {
                    reserve.min(patience)
                } else {
                    patience
                })
            }
            Phase::Dials(_, until) | Phase::Talks(_, _, until) | Phase::Closes(until) => {
                Some(*until)
            }
            _ => None,
        }
    }

    /// One turn; true if something moved.
    pub fn step(&mut self, world: &mut Shared) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Acquires => self.acquire(world),
            Phase::Waits { ticket, since } => return self.wait(ticket, since, world),
            Phase::Dials(leased, until) if until > world.now => {
                self.phase = Phase::Dials(leased, until);
                return false;
            }
            Phase::Dials(leased, _) => self.dialled(leased, world),
            Phase::Talks(exchange, held, until) => return self.talk(exchange, held, until, world),
            Phase::Pumps(held) => return self.pump(held, world),
            Phase::Alone => {
                self.phase = Phase::Alone;
                return self.alone(world);
            }
            Phase::Closes(until) => {
                let wire = &mut world.wires[self.index];
                let before = self.output.len();
                let stuck = send(&mut self.output, &mut wire.1, &mut world.chance);
                if stuck && until > world.now && !wire.0.closed {
                    self.phase = Phase::Closes(until);
                    return before != self.output.len();
                }
                wire.1.closed = true;
            }
            Phase::Closed => return false,
        }
        true
    }

    /// `ClientSide::alone`.
    fn alone(&mut self, world: &mut Shared) -> bool {
        let wire = &mut world.wires[self.index];
        let before = self.output.len();
        let stuck = send(&mut self.output, &mut wire.1, &mut world.chance);
        let mut moved = before != self.output.len();
        match opening(&mut self.stream, &mut self.input) {
            Ok(Opening::Request) if !stuck => {
                self.phase = Phase::Acquires;
                return true;
            }
            Ok(Opening::Terminated) => {
                self.finish(Ending::Terminated, None, world);
                return true;
            }
            Ok(Opening::Request | Opening::Nothing) => {}
            Err(fault) => {
                self.finish(Ending::Fault(fault), None, world);
                return true;
            }
        }
        if stuck {
            return moved;
        }
        moved |= self.receive(world);
        if !moved && self.client_is_gone(world) {
            self.finish(Ending::ClientGone, None, world);
            return true;
        }
        moved
    }

    /// Reads from the client; true if something came.
    fn receive(&mut self, world: &mut Shared) -> bool {
        let pipe = &mut world.wires[self.index].0;
        let count = world.chance.chunk(pipe.len().min(self.input.room()));
        let bytes = pipe.read(count);
        count > 0 && self.input.push(&bytes).is_ok()
    }

    fn client_is_gone(&self, world: &Shared) -> bool {
        let pipe = &world.wires[self.index].0;
        pipe.closed && pipe.is_empty()
    }

    /// `Life::acquire`, first half.
    fn acquire(&mut self, world: &mut Shared) {
        let more = 2 * usize::from(world.breaks(Mutation::WidePool));
        let wide = 2 * usize::from(world.breaks(Mutation::WideRole));
        let wanted = pool::Wanted {
            key: Some(self.group),
            group: Group(self.group),
            group_max: world.plan.group_max.map(|max| max + more),
            role_max: world.plan.role_max.map(|max| max + wide),
            home: Home(self.home),
        };
        match world.place.ask(self.index, wanted, world.now) {
            Ok(lent) => self.lent(lent, world),
            Err(ticket) if world.breaks(Mutation::DoubleLease) => {
                world.place.leave(self.index, ticket, world.now);
                let generation = world.place.generation;
                self.dial(Leased::made_up(self.group, generation), world);
            }
            Err(ticket) => {
                self.cancelled = false;
                self.aim = Aim::Wait;
                let since = world.now;
                self.phase = Phase::Waits { ticket, since };
            }
        }
    }

    /// `Life::wait`.
    fn wait(&mut self, ticket: Ticket, since: u64, world: &mut Shared) -> bool {
        let over = world.now >= since + world.plan.patience;
        let long = world.now >= since + world.plan.reserve_after;
        let ending = if let Some(lent) = world.place.mailboxes.remove(&self.index) {
            self.aim = Aim::Nothing;
            self.lent(lent, world);
            return true;
        } else if std::mem::take(&mut self.cancelled) && self.logged_in {
            Ending::Fault(Fault::new(Side::Client, FaultKind::Cancelled))
        } else if over && !world.breaks(Mutation::WaitForever) {
            let (setting, phase) = ("query_wait_timeout", "waiting");
            Ending::Fault(Fault::new(
                Side::Proxy,
                FaultKind::Timeout { setting, phase },
            ))
        } else if self.client_is_gone(world) {
            Ending::ClientGone
        } else {
            if long
                && let Some(leased) = world.place.reserve(ticket, self.group, world.plan.reserve)
            {
                self.aim = Aim::Nothing;
                self.dial(leased, world);
                return true;
            }
            let wire = &mut world.wires[self.index];
            let before = self.output.len();
            send(&mut self.output, &mut wire.1, &mut world.chance);
            self.phase = Phase::Waits { ticket, since };
            return before != self.output.len();
        };
        self.aim = Aim::Nothing;
        let now = world.now;
        world.place.leave(self.index, ticket, now);
        world.discard_dropped();
        match &ending {
            Ending::Fault(fault) if self.refused(fault) => self.phase = Phase::Alone,
            _ => self.finish(ending, None, world),
        }
        true
    }

    /// `member::refused`.
    fn refused(&mut self, fault: &Fault) -> bool {
        let text = "cancelled";
        let error = Report::new(Severity::Error, Sqlstate::new("57014"), text);
        fault.kind == FaultKind::Cancelled && refuse(&mut self.input, &error, &mut self.output)
    }

    /// `Life::finish`.
    fn finish(&mut self, ending: Ending, held: Option<Held>, world: &mut Shared) {
        world.note(format_args!("session {} ends: {ending:?}", self.index));
        self.judge(&ending, held.as_ref(), world);
        self.ended = true;
        self.aim = Aim::Nothing;
        if std::mem::take(&mut self.pinned) {
            world.pinned -= 1;
        }
        let between = held
            .as_ref()
            .is_none_or(|it| it.link.server.between_frames());
        if let Ending::Fault(fault) = &ending
            && between
        {
            farewell::put(fault, &mut self.output);
        }
        self.phase = Phase::Closes(world.now + CLOSE);
        let guaranteed = world.plan.guaranteed[self.group as usize];
        world.place.depart(self.group, guaranteed);
        world.discard_dropped();
        let Some(Held { mut link, leased }) = held else {
            return;
        };
        if matches!(ending, Ending::ClientGone) && world.breaks(Mutation::LoseLease) {
            world.discard(link);
            return;
        }
        let in_order = matches!(ending, Ending::Terminated | Ending::ClientGone)
            && self.stream.between_frames()
            && may_serve_another(&link);
        if in_order && world.breaks(Mutation::SkipReset) {
            self.rest(Held { link, leased }, world);
            return;
        }
        let backend = &world.backends[link.backend];
        let (task, until) = match in_order {
            true => match Reset::begin(&mut link.server, &mut link.output) {
                Ok(reset) => (Task::Reset(reset, backend.aimed == 0), world.now + CLOSE),
                Err(_) => (Task::Close, world.now + CLOSE),
            },
            false => {
                let cut = matches!(&ending, Ending::Fault(it) if it.side == Side::Server);
                if self.stream.between_frames() && !cut {
                    let _ = link.output.push(farewell::TERMINATE);
                }
                (Task::Close, world.now + CLOSE)
            }
        };
        let key = self.group;
        world.jobs.push(Job {
            task,
            link,
            leased: Some(leased),
            key,
            until,
        });
    }

    /// Whether a session may end so, here.
    fn judge(&self, ending: &Ending, held: Option<&Held>, world: &mut Shared) {
        let failed = held.is_some_and(|it| world.backends[it.link.backend].failed);
        let cancels = world.cancels[self.index] > 0;
        let may = match ending {
            Ending::Terminated | Ending::Parted => true,
            Ending::ClientGone => world.wires[self.index].0.closed,
            Ending::ServerEnded => failed || cancels,
            Ending::Fault(fault) => match &fault.kind {
                FaultKind::Lost { .. } | FaultKind::NotRestored => failed || cancels,
                // While it waited its patience was looked at there.
                FaultKind::Timeout { setting, .. } => *setting == "query_wait_timeout",
                FaultKind::Io { .. } => true,
                FaultKind::Cancelled => cancels,
                FaultKind::Limit { .. } => world.pinned >= world.plan.pinned_max,
                _ => false,
            },
        };
        if !may {
            let index = self.index;
            world.violate(format!("session {index} ended without a cause: {ending:?}"));
        }
    }

    /// `member::rest`.
    fn rest(&mut self, held: Held, world: &mut Shared) {
        put_to_rest(held, self.group, world);
    }
}

/// `Held::may_serve_another`.
fn may_serve_another(link: &Link) -> bool {
    link.server.may_be_reset() && link.is_quiet()
}

fn put_to_rest(held: Held, key: Key, world: &mut Shared) {
    let Held { mut link, leased } = held;
    link.since = world.now;
    world.backends[link.backend].owner = None;
    world.note(format_args!("server {} rests", link.backend));
    let (home, now) = (Home(link.home), world.now);
    world.place.keep(leased, (key, home), link, now);
    world.discard_dropped();
}

/// One turn of a connection without a client (`Life::give_back`, `bring_to_rest`, `ServerSide::close`).
pub fn work(mut job: Job, world: &mut Shared) -> (Option<Job>, bool) {
    let at = job.link.backend;
    let over = world.now >= job.until;
    let before = (job.link.output.len(), job.link.input.len());
    let settled = match &mut job.task {
        Task::Hold if over => Err(()),
        Task::Hold if world.backends[at].aimed > 0 => return (Some(job), false),
        Task::Hold => match Reset::check(&mut job.link.server, &mut job.link.output) {
            Ok(check) => {
                job.task = Task::Check(check);
                return (Some(job), true);
            }
            Err(_) => Err(()),
        },
        Task::Check(reset) | Task::Reset(reset, _) => {
            let backend = &mut world.backends[at];
            let chance = &mut world.chance;
            let turn = job
                .link
                .converse(backend, chance, |server, input| reset.step(server, input));
            match turn {
                Ok(Some(())) if job.link.is_quiet() => Ok(()),
                Ok(None) if !over => {
                    let moved = before != (job.link.output.len(), job.link.input.len());
                    return (Some(job), moved);
                }
                Ok(_) | Err(_) => Err(()),
            }
        }
        Task::Close => {
            let backend = &mut world.backends[at];
            let stuck = job.link.send(backend, &mut world.chance);
            if stuck && !over && !backend.down.closed {
                let moved = before.0 != job.link.output.len();
                return (Some(job), moved);
            }
            let now = world.now;
            world.discard(job.link);
            job.leased
                .into_iter()
                .for_each(|leased| world.place.release(leased, now));
            world.discard_dropped();
            return (None, true);
        }
    };
    match (settled, job.task, job.leased) {
        (Ok(()), Task::Check(_) | Task::Reset(_, true), Some(leased)) => {
            let link = job.link;
            put_to_rest(Held { link, leased }, job.key, world);
            (None, true)
        }
        (_, _, leased) => {
            let until = world.now + CLOSE;
            let task = Task::Close;
            (
                Some(Job {
                    task,
                    leased,
                    until,
                    ..job
                }),
                true,
            )
        }
    }
}
