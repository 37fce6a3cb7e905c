//! Owns a world of a seed: who does something next, trouble from outside, and what must hold all the time.

use crate::chance::Chance;
use crate::client::{Client, Stage};
use crate::pipe::Pipe;
use crate::place::{Lent, Place};
use crate::plan::{Mutation, Plan};
use crate::session::{Aim, Phase, Session, work};
use crate::shared::Shared;
use crate::trace::Trace;
use pool::Bounds;
use session::statements::{CacheLimits, Interner};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// More than any world needs.
const STEPS_MAX: u64 = 400_000;

/// A cancel request on its way.
#[derive(Debug)]
struct Cancel {
    client: usize,
    /// The backend that it is meant for; `None`: it hasn't come to Portcullis.
    target: Option<usize>,
    /// It was carried out there, but is counted until then.
    is_done: bool,
    at: u64,
}

/// What came of a world without a violation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Steps taken.
    pub steps: u64,
    /// Units answered.
    pub answered: u64,
    /// Server connections made.
    pub servers: u64,
    /// Cancels that hit.
    pub cancelled: u64,
    /// How often something was done wrong on purpose.
    pub mutated: u64,
}

/// See the module.
pub struct World {
    shared: Shared,
    clients: Vec<Client>,
    sessions: Vec<Session>,
    cancels: Vec<Cancel>,
    leases: usize,
    groups: BTreeMap<u64, usize>,
    summary: Summary,
}

impl World {
    /// The world of a seed.
    pub fn new(seed: u64, mutation: Option<Mutation>, traced: bool) -> World {
        let mut chance = Chance::new(seed);
        let mut plan = Plan::new(&mut chance, mutation);
        if seed % 4 == 2 {
            plan.limit_roles(&mut Chance::new(!seed));
        }
        let mut place = Place::new(in_force(plan.bounds, mutation));
        place.forgets = mutation == Some(Mutation::ForgetWaiters);
        place.keeps_old = mutation == Some(Mutation::KeepOld);
        let wires = (0..plan.clients).map(|_| (Pipe::new(8192), Pipe::new(8192)));
        let mut shared = Shared {
            now: 0,
            chance,
            wires: wires.collect(),
            backends: vec![],
            place,
            jobs: vec![],
            interner: Interner::new([9; 32], CacheLimits::default()),
            down_until: 0,
            cancels: vec![0; plan.clients],
            pinned: 0,
            inserted: BTreeSet::new(),
            committed: BTreeSet::new(),
            trace: Trace::new(traced),
            violation: None,
            mutated: 0,
            plan,
        };
        let (mut clients, mut sessions) = (vec![], vec![]);
        for index in 0..shared.plan.clients {
            let mut base = BTreeMap::new();
            for name in ["application_name", "work_mem", "my.x"] {
                if shared.chance.one_in(2) {
                    base.insert(name.to_owned(), format!("c{index}-0"));
                }
            }
            sessions.push(Session::new(index, &base, &mut shared));
            let client = Client::new(index, &mut shared.chance, base);
            clients.push(client);
        }
        let plan = format!("{:?}", shared.plan);
        shared.note(format_args!("{plan}"));
        World {
            shared,
            clients,
            sessions,
            cancels: vec![],
            leases: 0,
            groups: BTreeMap::new(),
            summary: Summary::default(),
        }
    }

    /// Runs to the end, or to the first violation. A panic of the code under test is one.
    pub fn run(mut self) -> Result<Summary, String> {
        let ran = catch_unwind(AssertUnwindSafe(|| self.go_on()));
        ran.unwrap_or_else(|_| Err(format!("{}a panic", self.shared.trace)))
    }

    fn go_on(&mut self) -> Result<Summary, String> {
        let mut idle = 0;
        while !self.is_over() {
            self.summary.steps += 1;
            if self.summary.steps > STEPS_MAX {
                self.shared.violate("it doesn't come to an end".to_owned());
            }
            let moved = match idle < 2 * self.actors() {
                true => {
                    let actor = self.shared.chance.size(self.actors());
                    self.act(actor)
                }
                // Chance may have passed somebody over.
                false => {
                    let mut moved = false;
                    for actor in (0..self.actors()).rev() {
                        moved |= self.act(actor);
                    }
                    moved
                }
            };
            // By the bounds that were in force.
            self.check();
            self.trouble();
            self.deliver();
            self.check();
            if let Some(violation) = self.shared.violation.take() {
                return Err(format!("{}{violation}", self.shared.trace));
            }
            match moved {
                true => {
                    idle = 0;
                    self.shared.now += self.shared.chance.below(40);
                }
                false if idle > 2 * self.actors() => {
                    idle = 0;
                    self.sleep();
                }
                false => idle += 1,
            }
        }
        self.check_the_end();
        if let Some(violation) = self.shared.violation.take() {
            return Err(format!("{}{violation}", self.shared.trace));
        }
        self.summary.answered = self.clients.iter().map(|it| it.answered).sum();
        self.summary.servers = self.shared.backends.len() as u64;
        self.summary.cancelled = self.clients.iter().map(|it| it.cancels.1 as u64).sum();
        self.summary.mutated = self.shared.mutated;
        Ok(self.summary)
    }

    fn actors(&self) -> usize {
        2 * self.clients.len() + self.shared.backends.len() + self.shared.jobs.len()
    }

    /// One step of an actor; true if something moved.
    fn act(&mut self, actor: usize) -> bool {
        let clients = self.clients.len();
        if actor < clients {
            let session = &self.sessions[actor];
            let fails = session
                .backend()
                .is_some_and(|at| self.shared.backends[at].failed);
            let (ended, rests) = (session.ended || fails, session.is_at_rest());
            return self.clients[actor].step(&mut self.shared, ended, rests);
        }
        let actor = actor - clients;
        if actor < clients {
            if self.clients[actor].stage == Stage::LogsIn
                && self.clients[actor].stalls_until > self.shared.now
            {
                return false;
            }
            return self.sessions[actor].step(&mut self.shared);
        }
        let actor = actor - clients;
        if actor < self.shared.backends.len() {
            return self.shared.serve(actor);
        }
        let actor = actor - self.shared.backends.len();
        if actor >= self.shared.jobs.len() {
            return false;
        }
        let job = self.shared.jobs.swap_remove(actor);
        let (job, moved) = work(job, &mut self.shared);
        self.shared.jobs.extend(job);
        moved
    }

    fn is_over(&self) -> bool {
        let gone = |it: &Client| it.stage == Stage::Gone;
        let closed = |it: &Session| matches!(it.phase, Phase::Closed);
        self.clients.iter().all(gone)
            && self.sessions.iter().all(closed)
            && self.shared.jobs.is_empty()
            && self.cancels.is_empty()
    }

    /// Time passes to the next moment at which something may happen.
    fn sleep(&mut self) {
        let now = self.shared.now;
        let clients = self.clients.iter().map(|it| it.stalls_until);
        let sessions = self
            .sessions
            .iter()
            .filter_map(|it| it.wakes_at(&self.shared));
        let backends = self.shared.backends.iter().filter_map(|it| it.busy_until);
        let jobs = self.shared.jobs.iter().map(|it| it.until);
        let cancels = self.cancels.iter().map(|it| it.at);
        let next = clients
            .chain(sessions)
            .chain(backends)
            .chain(jobs)
            .chain(cancels);
        match next.filter(|it| *it > now).min() {
            Some(next) => self.shared.now = next,
            None if self.shared.place.pool.is_paused() => self.resume(),
            None if !self.shared.place.pool.lends() => self.find_leader(),
            None => {
                let standing: Vec<_> = self.sessions.iter().map(|it| &it.phase).collect();
                let standing = format!("nothing moves any more: {standing:?}");
                self.shared.violate(standing);
            }
        }
    }

    fn resume(&mut self) {
        self.shared.note(format_args!("RESUME"));
        self.shared.place.pool.resume();
        self.shared.place.serve();
        self.shared.discard_dropped();
    }

    /// Another host is the primary of the cluster (`Place::follow`).
    fn find_leader(&mut self) {
        self.shared.note(format_args!("another host leads"));
        self.shared.place.pool.find_leader();
        self.shared.place.serve();
        self.shared.discard_dropped();
    }

    /// The primary is gone with all its processes, and nobody leads for now.
    fn lose_leader(&mut self) {
        let shared = &mut self.shared;
        shared.note(format_args!("the host that leads is lost"));
        shared.place.pool.lose_leader();
        shared.place.replace_all();
        shared.discard_dropped();
        for at in 0..shared.backends.len() {
            let cut = shared.chance.size(shared.backends[at].down.len() + 1);
            let backend = &mut shared.backends[at];
            if !backend.down.closed && !backend.model.ended {
                backend.die(cut);
            }
        }
    }

    /// What goes wrong, and what operators do.
    fn trouble(&mut self) {
        if !self.shared.plan.troubles || !self.shared.chance.one_in(60) {
            return;
        }
        let shared = &mut self.shared;
        let client = shared.chance.size(self.clients.len());
        match shared.chance.below(24) {
            0 if shared.chance.one_in(2) => {
                let it = &mut self.clients[client];
                if it.stage == Stage::Works {
                    it.vanish(shared);
                }
            }
            1..8 => {
                let it = &mut self.clients[client];
                if it.may_cancel() {
                    it.cancels.0 += 1;
                    shared.cancels[client] += 1;
                    shared.note(format_args!("client {client} cancels"));
                    let at = shared.now + shared.chance.below(300);
                    self.cancels.push(Cancel {
                        client,
                        target: None,
                        is_done: false,
                        at,
                    });
                }
            }
            8 | 9 if !shared.backends.is_empty() => {
                let at = shared.chance.size(shared.backends.len());
                let kills = shared.chance.one_in(2);
                let cut = shared.chance.size(shared.backends[at].down.len() + 1);
                let backend = &mut shared.backends[at];
                if backend.down.closed || backend.model.ended {
                    return;
                }
                match kills {
                    true => backend.die(cut),
                    false => {
                        backend.failed = true;
                        backend.model.terminate();
                    }
                }
                shared.note(format_args!("server {at} fails (kill: {kills})"));
            }
            10 => shared.down_until = shared.now + shared.chance.below(3000),
            11 => {
                shared.plan.bounds = Plan::bounds(&mut shared.chance, shared.plan.patience);
                let bounds = shared.plan.bounds;
                shared.note(format_args!("RELOAD {bounds:?}"));
                shared.place.replace_all();
                let bounds = in_force(bounds, shared.plan.mutation);
                shared.place.pool.rebound(bounds);
                shared.place.serve();
                shared.discard_dropped();
            }
            12 => {
                shared.note(format_args!("RECONNECT"));
                shared.place.replace_all();
                shared.discard_dropped();
            }
            13 => {
                shared.note(format_args!("PAUSE"));
                shared.place.pool.pause();
            }
            14..17 if shared.place.pool.is_paused() => self.resume(),
            17..20 => {
                let backends = &shared.backends;
                shared
                    .place
                    .expire(shared.now, |link| backends[link.backend].down.closed);
                shared.discard_dropped();
            }
            20 if shared.place.pool.lends() => self.lose_leader(),
            21..24 if !shared.place.pool.lends() => self.find_leader(),
            _ => {}
        }
    }

    /// Cancels move on (`shell/cancel.rs`).
    fn deliver(&mut self) {
        let now = self.shared.now;
        let due = self.cancels.iter().position(|it| it.at <= now);
        let Some(due) = due else { return };
        let mut cancel = self.cancels.swap_remove(due);
        cancel.at = now + self.shared.chance.below(20_000);
        match cancel.target {
            None => {
                let session = &mut self.sessions[cancel.client];
                match session.aim {
                    Aim::Nothing => {}
                    Aim::Wait => session.cancelled = true,
                    Aim::At(backend) => {
                        self.shared.backends[backend].aimed += 1;
                        cancel.target = Some(backend);
                        self.cancels.push(cancel);
                    }
                }
            }
            Some(at) if cancel.is_done => self.shared.backends[at].aimed -= 1,
            Some(at) => {
                let backend = &mut self.shared.backends[at];
                backend.cancelled = backend.busy_until.is_some();
                let owner = backend.owner;
                let hits = backend.cancelled;
                self.shared.note(format_args!(
                    "a cancel of {} reaches server {at}: {hits}",
                    cancel.client
                ));
                if hits && owner.is_some_and(|it| it != cancel.client) {
                    let client = cancel.client;
                    self.shared
                        .violate(format!("a cancel of client {client} hits client {owner:?}"));
                }
                cancel.is_done = true;
                self.cancels.push(cancel);
            }
        }
    }

    /// What must hold after every step.
    fn check(&mut self) {
        let shared = &self.shared;
        let place = &shared.place;
        let mut groups: BTreeMap<u64, usize> = BTreeMap::new();
        let mut count = |group: u64| *groups.entry(group).or_default() += 1;
        self.sessions
            .iter()
            .filter_map(Session::leased)
            .for_each(|it| count(it.group));
        shared
            .jobs
            .iter()
            .filter_map(|it| it.leased.as_ref())
            .for_each(|it| count(it.group));
        for lent in place.mailboxes.values() {
            let (Lent::Rested(leased, _) | Lent::Fresh(leased)) = lent;
            count(leased.group);
        }
        let lent: usize = groups.values().sum();
        let known = place.pool.lent();
        place.resting.values().for_each(|it| {
            let group = shared.backends[it.backend].group;
            *groups.entry(group).or_default() += 1;
        });
        let leases = lent + place.resting.len();
        let mut violation = None;
        // A limit that was lowered is come down to; it is never passed.
        if leases > self.leases
            && shared
                .plan
                .bounds
                .connections_max
                .is_some_and(|max| leases > max)
        {
            violation = Some(format!(
                "{leases} connections are beyond max_db_connections"
            ));
        }
        let guaranteed = |group: u64| shared.plan.guaranteed[group as usize];
        let kept_from = |group: u64| {
            let others = place
                .present
                .iter()
                .filter(|it| *it.0 != group && *it.1 > 0);
            let has = |group: &u64| groups.get(group).copied().unwrap_or(0);
            let short = |group: &u64| guaranteed(*group).saturating_sub(has(group));
            others.map(|(group, _)| short(group)).sum::<usize>()
        };
        let is_kept = |group: u64, count: usize, leases: usize| {
            let max = shared.plan.bounds.connections_max;
            let own = place.present.get(&group).is_some_and(|it| *it > 0);
            let own = if own { guaranteed(group) } else { 0 };
            count > own && max.is_some_and(|max| leases + kept_from(group) > max)
        };
        for (group, count) in &groups {
            let before = self.groups.get(group).copied().unwrap_or(0);
            let max = shared.plan.group_max.map(|max| max + shared.plan.reserve);
            if *count > before && max.is_some_and(|max| *count > max) {
                violation = Some(format!(
                    "{count} connections of group {group} are beyond pool_size"
                ));
            }
            if *count > before && shared.plan.role_max.is_some_and(|max| *count > max) {
                violation = Some(format!(
                    "{count} connections of group {group} are beyond max_user_connections"
                ));
            }
            if *count > before && is_kept(*group, *count, leases) {
                violation = Some(format!(
                    "group {group} has {count} connections, and took what others are guaranteed"
                ));
            }
        }
        if lent != known || place.pool.resting() != place.resting.len() {
            violation = Some(format!("{lent} leases are out; the pool knows of {known}"));
        }
        for session in &self.sessions {
            if let Phase::Waits { since, .. } = session.phase
                && !place.mailboxes.contains_key(&session.index)
            {
                let index = session.index;
                if shared.now > since + shared.plan.patience + 10_000 {
                    violation = Some(format!(
                        "session {index} waits longer than query_wait_timeout"
                    ));
                }
                let has_room = shared
                    .plan
                    .bounds
                    .connections_max
                    .is_none_or(|max| leases < max);
                let of_group = groups.get(&session.group).copied().unwrap_or(0);
                let fits = shared.plan.group_max.is_none_or(|max| of_group < max)
                    && shared.plan.role_max.is_none_or(|max| of_group < max)
                    && !is_kept(session.group, of_group + 1, leases + 1);
                let rests = place
                    .resting
                    .values()
                    .any(|it| shared.backends[it.backend].group == session.group);
                if place.pool.lends() && (rests || (fits && has_room)) {
                    violation = Some(format!(
                        "session {index} waits though there is a connection for it"
                    ));
                }
            }
        }
        self.leases = leases;
        self.groups = groups;
        violation.into_iter().for_each(|it| self.shared.violate(it));
    }

    /// What must hold when everybody is gone.
    fn check_the_end(&mut self) {
        let pool = &self.shared.place.pool;
        let left = (pool.lent(), pool.waiting(), self.shared.pinned);
        let rests = pool.resting();
        if left != (0, 0, 0) || !self.shared.place.mailboxes.is_empty() {
            self.shared
                .violate(format!("left at the end (lent, waiting, pinned): {left:?}"));
        }
        if rests != self.shared.place.resting.len() {
            self.shared
                .violate("the pool and what rests don't agree".to_owned());
        }
    }
}

/// What the pool is told.
fn in_force(bounds: Bounds, mutation: Option<Mutation>) -> Bounds {
    let more = usize::from(mutation == Some(Mutation::WideDatabase));
    Bounds {
        connections_max: bounds.connections_max.map(|max| max + more),
        ..bounds
    }
}
