//! What happens to a primary, and how its successor is made.

use std::net::SocketAddr;
use std::time::Instant;

use e2e::Stage;
use e2e::clustered::{plan_of, role};
use e2e::drivers::Endpoint;
use testkit::{Fault, FaultPipe, Flock, Member, wait};

use super::{received, synchronous};

/// What happens to a primary.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blow {
    /// Its processes are killed.
    Kill,
    /// Its processes stand still; they are killed when the other one was promoted.
    Hang,
    /// The proxy can't reach it any more, and is told nothing. It lives, and comes back when the other one was promoted.
    Part,
}

/// A flock whose members the proxy reaches by ways that can be cut.
pub(crate) struct Scene {
    pub(crate) flock: Flock,
    pipes: Vec<FaultPipe>,
    pub(crate) role: Endpoint,
    pub(crate) stage: Stage,
    /// The primary's number.
    pub(crate) leader: usize,
}

impl Scene {
    /// With a role and a database of this name.
    #[track_caller]
    pub(crate) fn new(name: &str) -> Self {
        let flock = synchronous().start();
        let role = role(&flock, name);
        let pipe = |member: &Member| {
            let target = SocketAddr::from(([127, 0, 0, 1], member.port()));
            FaultPipe::start(target, Fault::None, Fault::None)
        };
        let pipes: Vec<_> = flock.members().iter().map(pipe).collect();
        let hosts: Vec<_> = pipes
            .iter()
            .map(|it| format!("localhost:{}", it.address().port()))
            .collect();
        let stage = plan_of(&flock, &role, &hosts, "check_timeout = '1s'").start();
        Self {
            flock,
            pipes,
            role,
            stage,
            leader: 0,
        }
    }

    pub(crate) fn primary(&self) -> &Member {
        &self.flock[self.leader]
    }

    /// Where the proxy reaches a member.
    pub(crate) fn port(&self, number: usize) -> u16 {
        self.pipes[number].address().port()
    }

    pub(crate) fn strike(&self, blow: Blow) {
        match blow {
            Blow::Kill => self.primary().kill(),
            Blow::Hang => self.primary().hang(),
            Blow::Part => self.pipes[self.leader].part(),
        }
    }

    /// Makes the standby that has most of the log the primary; gives the old one's number, and when the new one was one.
    #[track_caller]
    pub(crate) fn succeed(&mut self) -> (usize, Instant) {
        let old = self.leader;
        let [one, other] = others(old);
        let (next, other) = match received(&self.flock[one]) >= received(&self.flock[other]) {
            true => (one, other),
            false => (other, one),
        };
        succeed(&self.flock[next], &self.flock[other]);
        self.leader = next;
        (old, Instant::now())
    }

    /// Lets the network be what it was.
    pub(crate) fn mend(&self, member: usize) {
        self.pipes[member].mend();
    }

    /// Makes this member, which was the primary, a standby of the primary, and waits until both standbys have all.
    #[track_caller]
    pub(crate) fn take_back(&self, old: usize) {
        self.flock[old].rejoin(self.primary());
        for standby in others(self.leader) {
            self.flock[standby].await_caught_up_with(self.primary());
        }
    }
}

/// The other two.
pub(crate) fn others(leader: usize) -> [usize; 2] {
    [(leader + 1) % 3, (leader + 2) % 3]
}

/// Promotes `next`. `other` streams from it before that, so that it is never ahead, and nothing that `other` alone has
/// confirmed is missing in `next`.
#[track_caller]
pub(crate) fn succeed(next: &Member, other: &Member) {
    other.follow(next);
    wait::until("the next primary to have all", wait::LONG, || {
        received(next) >= received(other)
    });
    next.promote();
}

/// How many statements that write this server's log has of the clients.
pub(crate) fn writes_logged(member: &Member) -> usize {
    let log = member.log();
    let of_clients =
        |line: &&str| line.contains("INTO register") || line.contains("UPDATE counters");
    log.lines().filter(of_clients).count()
}

/// Waits until no more of a role's connections to this server are there than `state` allows. Not counted are those
/// that can't go on, since no standby confirms what they have written, or one of those has their row.
#[track_caller]
pub(crate) fn await_none(member: &Member, role: &str, state: &str) {
    let query = format!(
        "SELECT 1 FROM pg_stat_activity WHERE usename = '{role}' AND {state} \
         AND NOT coalesce(wait_event = 'SyncRep' OR wait_event_type = 'Lock', false)"
    );
    wait::until("connections to be none", wait::LONG, || {
        member.sql(&query).is_empty()
    });
}
