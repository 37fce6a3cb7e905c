//! Owns what ends a linked session while nothing moves: the configured deadlines, an instruction to
//! stop, and a client that hung up while its socket isn't being read.
//!
//! Also tells a session that has been silent for a moment to hand back its memory. Costs nothing per
//! message but a flag: times are looked at when the session goes to sleep, and no timer exists
//! unless something is configured or the client is being held back.

use crate::client::{Ending, Keeps};
use crate::control::{Control, Phase, Sleeper};
use crate::setup::SessionTimeouts;
use crate::socket::Socket;
use session::Server;
use session::fault::{Fault, FaultKind, Side};
use session::ledger::Status;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How often a client that is held back is asked whether it is still there.
const HANG_UP_CHECK: Duration = Duration::from_secs(1);

/// How long the replies owed to a client that then broke the protocol are waited for.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2);

/// What a session does that has nothing to move.
pub enum Watched {
    /// It sleeps.
    Sleep,
    /// It sleeps, and hands back memory first.
    Rest,
    /// It ends.
    End(Ending),
    /// What it waited for hasn't come: see [`Watch::give_up_soon`].
    GiveUp,
}

/// What the session is doing, as far as deadlines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Idle,
    /// It keeps a server connection that others could use.
    IdlePinned,
    IdleInTransaction,
    Query,
}

/// What there is to watch, and what only that needs to know.
struct Deadlines {
    limits: SessionTimeouts,
    /// When the present transaction was first seen.
    transaction_since: Option<Instant>,
}

/// The watch over one session.
pub struct Watch {
    control: Arc<Control>,
    number: u64,
    /// `None` if there are none, as with most.
    deadlines: Option<Box<Deadlines>>,
    doing: Doing,
    since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    give_up: Option<Instant>,
    sleeper: Arc<Sleeper>,
    entered: bool,
}

impl Watch {
    /// A watch over session `number` of the worker that `control` belongs to.
    pub fn new(control: Arc<Control>, number: u64, deadlines: SessionTimeouts) -> Watch {
        Watch {
            control,
            number,
            deadlines: (!deadlines.none()).then(|| {
                Box::new(Deadlines {
                    limits: deadlines,
                    transaction_since: None,
                })
            }),
            doing: Doing::Idle,
            since: Instant::now(),
            timer: None,
            give_up: None,
            sleeper: Arc::default(),
            entered: false,
        }
    }

    /// Called when the session goes to sleep; `unread` says that the client isn't being read.
    #[inline]
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        unread: bool,
        client: &Socket,
        link: Option<(&Server, Keeps)>,
    ) -> Watched {
        self.enter(cx);
        match self.control.phase() {
            Phase::Running => {}
            Phase::Draining if link.is_some_and(|(link, _)| !link.is_idle()) => {}
            Phase::Draining | Phase::Cut => return Watched::End(shutting_down()),
        }
        if self.sleeper.is_ended() {
            return Watched::End(killed());
        }
        if self.sleeper.is_rest_due() {
            self.control.freed.fetch_add(1, Ordering::Relaxed);
            return Watched::Rest;
        }
        if unread || self.deadlines.is_some() {
            return self.poll_deadlines(cx, unread, client, link);
        }
        self.timer = None;
        Watched::Sleep
    }

    /// From now on the session is woken by what changes.
    #[inline]
    pub fn enter(&mut self, cx: &mut Context<'_>) {
        if !self.entered {
            self.entered = true;
            self.control.enter(self.number, cx.waker(), &self.sleeper);
        }
    }

    /// What wakes the session.
    #[inline]
    pub fn sleeper(&self) -> &Arc<Sleeper> {
        &self.sleeper
    }

    /// True while the session is to stand still.
    #[inline]
    pub fn is_suspended(&self) -> bool {
        self.control.is_suspended()
    }

    /// Called whenever a session that is to stand still is woken; `moves` says that it has something left
    /// to move. Meanwhile no deadline counts.
    #[cold]
    pub fn hold(&mut self, cx: &mut Context<'_>, moves: bool) -> Option<Ending> {
        self.enter(cx);
        let now = Instant::now();
        self.since = now;
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.transaction_since = deadlines.transaction_since.map(|_| now);
        }
        if !moves {
            self.sleeper.stands_still();
        }
        self.sleeper.is_ended().then(killed)
    }

    /// The session waits for a server connection, or does so no more.
    pub fn waits(&self, waits: bool) {
        self.sleeper.waits(waits);
    }

    /// The session waits for something else than its sockets: it is woken once a second, to look, until it
    /// [looks no more](Self::looked).
    #[inline]
    pub fn looks(&mut self, cx: &mut Context<'_>) {
        self.enter(cx);
        self.sleeper.looks(true);
    }

    /// It does so no more.
    #[inline]
    pub fn looked(&self) {
        self.sleeper.looks(false);
    }

    fn poll_deadlines(
        &mut self,
        cx: &mut Context<'_>,
        unread: bool,
        client: &Socket,
        link: Option<(&Server, Keeps)>,
    ) -> Watched {
        loop {
            let now = Instant::now();
            let deadline = self.deadline(now, link);
            if let Some((at, setting)) = deadline
                && at <= now
            {
                return Watched::End(self.passed(setting));
            }
            if self.give_up.is_some_and(|at| at <= now) {
                return Watched::GiveUp;
            }
            if self.timer.as_ref().is_some_and(|timer| timer.is_elapsed()) {
                self.timer = None;
                if unread && client.hung_up() {
                    return Watched::End(Ending::ClientGone { truncated: true });
                }
            }
            let check = unread.then(|| now + HANG_UP_CHECK);
            let next = [deadline.map(|(at, _)| at), check, self.give_up];
            let Some(next) = next.into_iter().flatten().min() else {
                self.timer = None;
                return Watched::Sleep;
            };
            if self.arm(next).poll(cx).is_pending() {
                return Watched::Sleep;
            }
        }
    }

    /// The timer, ringing at `at` or before: an earlier alarm may ring, it is looked at then.
    fn arm(&mut self, at: Instant) -> Pin<&mut Sleep> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() > at || timer.is_elapsed() {
            timer.as_mut().reset(at);
        }
        timer.as_mut()
    }

    /// The next deadline by what the session is doing, which may just have changed.
    fn deadline(
        &mut self,
        now: Instant,
        link: Option<(&Server, Keeps)>,
    ) -> Option<(Instant, &'static str)> {
        let doing = match link {
            Some((link, _)) if !link.ledger.is_settled() => Doing::Query,
            None => Doing::Idle,
            Some((link, Keeps::Pinned)) if link.status == Status::Idle => Doing::IdlePinned,
            Some((link, _)) if link.status == Status::Idle => Doing::Idle,
            Some(_) => Doing::IdleInTransaction,
        };
        if doing != self.doing || self.since > now {
            self.doing = doing;
            self.since = now;
        }
        let deadlines = self.deadlines.as_deref_mut()?;
        let transaction = match doing {
            Doing::Idle | Doing::IdlePinned => {
                deadlines.transaction_since = None;
                None
            }
            Doing::IdleInTransaction | Doing::Query => {
                let since = *deadlines.transaction_since.get_or_insert(now);
                let limit = deadlines.limits.transaction;
                (!limit.is_zero()).then(|| (since + limit, "transaction_timeout"))
            }
        };
        let (limit, setting) = match doing {
            Doing::Idle => (deadlines.limits.idle, "client_idle_timeout"),
            Doing::IdlePinned if deadlines.limits.idle_pinned.is_zero() => {
                (deadlines.limits.idle, "client_idle_timeout")
            }
            Doing::IdlePinned => (deadlines.limits.idle_pinned, "idle_pinned_timeout"),
            Doing::IdleInTransaction => (
                deadlines.limits.idle_transaction,
                "idle_transaction_timeout",
            ),
            Doing::Query => (deadlines.limits.query, "query_timeout"),
        };
        let own = (!limit.is_zero()).then(|| (self.since + limit, setting));
        own.into_iter().chain(transaction).min_by_key(|(at, _)| *at)
    }

    /// From now on the session is only waiting for the end of something, and not for long.
    pub fn give_up_soon(&mut self) {
        self.give_up = Some(Instant::now() + GIVE_UP_AFTER);
    }

    /// Has the session woken at this second even if nothing moves.
    pub fn wake_at(&self, second: Option<u32>) {
        self.sleeper.wake_at(second);
    }

    /// Something passed: silence starts anew.
    #[inline]
    pub fn moved(&mut self) {
        self.sleeper.broken();
        if self.deadlines.is_some() && self.doing != Doing::Query {
            self.since = Instant::now();
        }
    }

    fn passed(&self, setting: &'static str) -> Ending {
        let phase = match self.doing {
            Doing::Idle | Doing::IdlePinned => "the client was idle",
            Doing::IdleInTransaction => "the client was idle in a transaction",
            Doing::Query => "the server worked on a request",
        };
        Ending::Fault(Fault::new(
            Side::Client,
            FaultKind::Timeout { setting, phase },
        ))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.entered {
            self.control.leave(self.number);
        }
    }
}

fn killed() -> Ending {
    Ending::Fault(Fault::new(Side::Proxy, FaultKind::Killed))
}

fn shutting_down() -> Ending {
    Ending::Fault(Fault::new(Side::Proxy, FaultKind::ShuttingDown))
}
