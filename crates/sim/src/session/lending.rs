//! Owns how a session gets its connection ready, asks it, and parts with it.

use super::{Aim, Ending, Held, Keeps, Phase, SECRET, Session, may_serve_another};
use crate::link::{Link, lost};
use crate::place::{Leased, Lent};
use crate::plan::Mutation;
use crate::shared::{CLOSE, Exchange, Job, Shared, Task};
use ::session::fault::{Fault, FaultKind, Side};
use ::session::lending::{self, Asked, Asking, Awaiting, Keep, PinRule, ResetRule};
use ::session::reset::Reset;
use wire::{Report, Severity, Sqlstate};

impl Session {
    /// `Life::acquire`, second half, and `ServerSide::wake`.
    pub(super) fn lent(&mut self, lent: Lent, world: &mut Shared) {
        world.discard_dropped();
        let (leased, mut link) = match lent {
            Lent::Fresh(leased) => return self.dial(leased, world),
            Lent::Rested(leased, link) => (leased, link),
        };
        let at = link.backend;
        if let Some(owner) = world.backends[at].owner.replace(self.index) {
            world.violate(format!(
                "server {at} was lent to {} while {owner} has it",
                self.index
            ));
        }
        if link.epoch != leased.generation() {
            world.violate(format!(
                "server {at} is of a setup that is past, and was lent"
            ));
        }
        let (index, now) = (self.index, world.now);
        world.note(format_args!("server {at} is lent to {index}"));
        let check_after = world.plan.check_after;
        let backend = &mut world.backends[at];
        let has_news = !backend.down.is_empty() || backend.down.closed;
        let fresh = now.saturating_sub(link.since) < check_after;
        link.home = self.home;
        if has_news {
            while link.receive(backend, &mut world.chance) {}
            if link.ended || link.server.rested(&mut link.input).is_err() {
                world.discard(link);
                return self.dial(leased, world);
            }
        }
        let held = Held { link, leased };
        match fresh {
            true => self.linked(held, world),
            false => self.wake(held, world),
        }
    }

    fn wake(&mut self, mut held: Held, world: &mut Shared) {
        match Reset::check(&mut held.link.server, &mut held.link.output) {
            Ok(check) => self.phase = Phase::Talks(Exchange::Wake(check), held, world.now + CLOSE),
            Err(_) => self.fail(FaultKind::NotRestored, held, world),
        }
    }

    pub(super) fn dial(&mut self, leased: Leased, world: &mut Shared) {
        world.note(format_args!("session {} dials", self.index));
        let takes = world.chance.below(5000);
        self.phase = Phase::Dials(leased, world.now + takes);
    }

    pub(super) fn dialled(&mut self, leased: Leased, world: &mut Shared) {
        if world.now < world.down_until {
            let now = world.now;
            world.place.release(leased, now);
            world.discard_dropped();
            let cause = "refused".to_owned();
            let phase = "connecting";
            let fault = Fault::new(Side::Server, FaultKind::Io { phase, cause });
            return self.finish(Ending::Fault(fault), None, world);
        }
        let (at, reports) = world.start_backend(leased.group);
        world.backends[at].owner = Some(self.index);
        let mut link = Box::new(Link::new(at, self.home, leased.generation()));
        let known = link.input.push(&reports).is_ok() && {
            let Link { server, input, .. } = &mut *link;
            server.rested(input).is_ok()
        };
        assert!(known, "what a login reports");
        world.note(format_args!("server {at} starts for {}", self.index));
        self.linked(Held { link, leased }, world);
    }

    /// `Life::round`, up to the pump; before the welcome `Life::link`.
    fn linked(&mut self, mut held: Held, world: &mut Shared) {
        let link = &mut *held.link;
        let until = world.now + CLOSE;
        if !self.logged_in {
            match lending::try_on(&mut link.server, &self.wishes, &mut link.output) {
                Ok(true) => {
                    let trying = Exchange::Try(Awaiting::default());
                    self.phase = Phase::Talks(trying, held, until);
                }
                Ok(false) => self.welcome(held, world),
                Err(_) => self.fail(FaultKind::NotRestored, held, world),
            }
            return;
        }
        let lent = match world.breaks(Mutation::SkipLend) {
            true => {
                self.stream.link(&mut link.server);
                Ok(false)
            }
            false => {
                let parties = (&self.wishes, &mut self.stream);
                lending::lend(&mut link.server, parties, ResetRule::Auto, &mut link.output)
            }
        };
        match lent {
            Ok(false) => self.begin_round(held),
            Ok(true) => {
                let settling = Exchange::Settle(Awaiting::default());
                self.phase = Phase::Talks(settling, held, until);
            }
            Err(_) => self.fail(FaultKind::NotRestored, held, world),
        }
    }

    fn begin_round(&mut self, held: Held) {
        self.aim = Aim::At(held.link.backend);
        let since = held.link.server.rounds;
        self.keeps = Keeps::Round { since };
        self.phase = Phase::Pumps(held);
    }

    fn welcome(&mut self, held: Held, world: &mut Shared) {
        let put = held.link.server.reported.put(&mut self.output);
        let ready = self.output.push(b"Z\0\0\0\x05I");
        assert!(put.is_ok() && ready.is_ok(), "a welcome fits");
        self.logged_in = true;
        self.set_dialect(&held);
        self.give_back(held, world);
    }

    fn set_dialect(&mut self, held: &Held) {
        let dialect = lending::dialect(&self.wishes, &held.link.server, &SECRET);
        if let Some(pooled) = self.stream.statements() {
            pooled.set_dialect(dialect);
        }
    }

    fn fail(&mut self, kind: FaultKind, held: Held, world: &mut Shared) {
        let fault = Fault::new(Side::Server, kind);
        self.finish(Ending::Fault(fault), Some(held), world);
    }

    /// One turn of an exchange of ours.
    pub(super) fn talk(
        &mut self,
        exchange: Exchange,
        mut held: Held,
        until: u64,
        world: &mut Shared,
    ) -> bool {
        let link = &mut *held.link;
        let (backend, chance) = (&mut world.backends[link.backend], &mut world.chance);
        let before = (link.output.len(), link.input.len(), backend.down.len());
        let mut exchange = exchange;
        let turn = match &mut exchange {
            Exchange::Try(it) | Exchange::Settle(it) | Exchange::Restore(it) => {
                link.converse(backend, chance, |server, input| it.step(server, input))
            }
            Exchange::Wake(it) => {
                link.converse(backend, chance, |server, input| it.step(server, input))
            }
            Exchange::Ask(it) => {
                let asked = link.converse(backend, chance, |server, input| it.step(server, input));
                match asked {
                    Ok(Some(Asked::Unknown)) => Err(lost()),
                    Ok(Some(Asked::Known)) => Ok(Some(())),
                    Ok(None) => Ok(None),
                    Err(fault) => Err(fault),
                }
            }
        };
        let after = (
            link.output.len(),
            link.input.len(),
            world.backends[link.backend].down.len(),
        );
        if let Ok(None) = turn
            && world.now < until
        {
            self.phase = Phase::Talks(exchange, held, until);
            return before != after;
        }
        let done = matches!(turn, Ok(Some(())));
        match (exchange, done) {
            (Exchange::Try(_), true) => self.welcome(held, world),
            (Exchange::Settle(_), true) => self.begin_round(held),
            (Exchange::Wake(_), true) => self.linked(held, world),
            (Exchange::Wake(_), false) => {
                world.discard(held.link);
                self.dial(held.leased, world);
            }
            (Exchange::Try(_) | Exchange::Settle(_), false) => {
                self.fail(FaultKind::NotRestored, held, world)
            }
            (Exchange::Ask(asking), true) => {
                match asking.finish(&mut held.link.server, &mut self.wishes) {
                    Asked::Known => self.restore(held, world),
                    Asked::Unknown => self.pin(held, world),
                }
            }
            (Exchange::Restore(_), true) => {
                // The server told the client of its own values when it reset them.
                let _ = held.link.server.reported.put(&mut self.output);
                self.set_dialect(&held);
                self.part(held, world);
            }
            (Exchange::Ask(_) | Exchange::Restore(_), false) => self.pin(held, world),
        }
        true
    }

    /// `Life::round`, behind the pump.
    pub(super) fn round_is_over(&mut self, mut held: Held, world: &mut Shared) {
        match lending::part(&mut held.link.server, PinRule::Allow) {
            Keep::No => self.part(held, world),
            Keep::AskFirst if world.breaks(Mutation::SkipAsk) => self.part(held, world),
            Keep::AskFirst => {
                let link = &mut *held.link;
                let asking = Asking::begin(&mut link.server, &self.wishes, &mut link.output);
                match asking {
                    Ok(Some(asking)) => {
                        let asking = Exchange::Ask(Box::new(asking));
                        self.phase = Phase::Talks(asking, held, world.now + CLOSE);
                    }
                    Ok(None) => self.restore(held, world),
                    Err(_) => self.pin(held, world),
                }
            }
            Keep::Pinned(_) => self.pin(held, world),
        }
    }

    fn restore(&mut self, mut held: Held, world: &mut Shared) {
        let link = &mut *held.link;
        match lending::restore(&mut link.server, &self.wishes, &mut link.output) {
            Ok(true) => {
                let restoring = Exchange::Restore(Awaiting::default());
                self.phase = Phase::Talks(restoring, held, world.now + CLOSE);
            }
            Ok(false) => {
                self.set_dialect(&held);
                self.part(held, world);
            }
            Err(_) => self.pin(held, world),
        }
    }

    fn pin(&mut self, held: Held, world: &mut Shared) {
        self.set_dialect(&held);
        if world.pinned >= world.plan.pinned_max {
            let (setting, limit) = ("max_pinned", world.plan.pinned_max as u64);
            let fault = Fault::new(Side::Proxy, FaultKind::Limit { setting, limit });
            return self.finish(Ending::Fault(fault), Some(held), world);
        }
        world.pinned += 1;
        self.pinned = true;
        world.note(format_args!(
            "session {} is pinned to server {}",
            self.index, held.link.backend
        ));
        let report = Report::new(Severity::Notice, Sqlstate::new("00000"), "pinned");
        let _ = report.encode_notice(&mut self.output);
        self.keeps = Keeps::Pinned;
        self.phase = Phase::Pumps(held);
    }

    fn part(&mut self, held: Held, world: &mut Shared) {
        self.aim = Aim::Nothing;
        self.give_back(held, world);
    }

    /// `Life::give_back`.
    pub(super) fn give_back(&mut self, held: Held, world: &mut Shared) {
        self.phase = Phase::Alone;
        let aimed = world.backends[held.link.backend].aimed > 0;
        let usable =
            may_serve_another(&held.link) || world.plan.mutation == Some(Mutation::PartEarly);
        let task = match (usable, aimed) {
            (true, true) if !world.breaks(Mutation::IgnoreCancels) => Task::Hold,
            (true, _) => return self.rest(held, world),
            (false, _) => Task::Close,
        };
        let Held { link, leased } = held;
        world.jobs.push(Job {
            task,
            link,
            leased: Some(leased),
            key: self.group,
            until: world.now + CLOSE,
        });
    }
}
