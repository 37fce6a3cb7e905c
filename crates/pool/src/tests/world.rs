//! Several pools, roles and clients that ask for ever: limits are exact, guarantees hold, nobody waits for
//! what is there, and everybody is served within a bound.

use super::*;
use std::collections::HashMap;

/// Choices from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end.max(1)
    }

    fn option(&mut self, end: usize) -> Option<usize> {
        (self.below(3) > 0).then(|| 1 + self.below(end))
    }
}

enum Doing {
    Idle,
    /// With the rounds by which it has to be served.
    Waits(Ticket, usize),
    Holds(Lease, char),
}

struct Client {
    pool: usize,
    wanted: Wanted<char>,
    doing: Doing,
}

struct World {
    roles: Rc<RefCell<Roles>>,
    pools: Vec<Pool<char, Roll>>,
    bounds: Vec<Bounds>,
    guaranteed: HashMap<Group, usize>,
    clients: Vec<Client>,
    /// Keys of what rests, by pool and number.
    resting: BTreeMap<(usize, u64), (char, Group)>,
    /// Connections by pool and group, after the step before.
    before: BTreeMap<(usize, Group), usize>,
    round: usize,
}

/// Each one ahead may take the connection, be passed by neighbours, and have one go from hand to hand
/// ahead of it, or go to another pool.
const ROUNDS_EACH: usize = 1 + 4 + 8 + 8;

impl World {
    fn new(chance: &mut Chance) -> World {
        let roles = Rc::<RefCell<Roles>>::default();
        let groups = 1 + chance.below(3);
        let max = (0..1 + chance.below(3))
            .map(|_| chance.option(4))
            .collect::<Vec<_>>();
        let mut guaranteed: HashMap<_, _> = (0..groups as u64)
            .map(|group| (Group(group), chance.below(3)))
            .collect();
        // What is promised to everybody can't be had by anybody else.
        let sum: usize = guaranteed.values().sum();
        if max.iter().flatten().any(|max| sum >= *max) {
            guaranteed.clear();
        }
        let limits: Vec<_> = (0..groups)
            .map(|_| (chance.option(3), chance.option(4)))
            .collect();
        let clients = (0..2 + chance.below(10)).map(|_| {
            let group = chance.below(groups);
            let (group_max, role_max) = limits[group];
            Client {
                pool: chance.below(max.len()),
                wanted: Wanted {
                    key: Some(['a', 'b'][chance.below(2)]).filter(|_| chance.below(9) > 0),
                    group: Group(group as u64),
                    group_max,
                    role_max,
                    home: Home(chance.below(3) as u16),
                },
                doing: Doing::Idle,
            }
        });
        let clients: Vec<_> = clients.collect();
        let bounds: Vec<_> = max
            .iter()
            .map(|max| Bounds {
                resting_max: chance.below(4),
                ..bounds(*max)
            })
            .collect();
        let pools = bounds.iter().zip(0..);
        let pools = pools.map(|(bounds, at)| Pool::new(*bounds, Roll(Rc::clone(&roles), at)));
        let mut pools: Vec<_> = pools.collect();
        for client in &clients {
            let of = client.wanted.group;
            let number = guaranteed.get(&of).copied().unwrap_or(0);
            pools[client.pool].attend(of, number);
        }
        World {
            roles,
            pools,
            bounds,
            guaranteed,
            clients,
            resting: BTreeMap::new(),
            before: BTreeMap::new(),
            round: 0,
        }
    }

    fn ask(&mut self, at: usize) {
        let waiting: usize = self.pools.iter().map(Pool::waiting).sum();
        let Client { pool, wanted, .. } = self.clients[at];
        let lease = match self.pools[pool].ask(wanted, SECOND) {
            Asked::Granted(lease) => {
                let rested = self.resting.remove(&(pool, lease.number()));
                assert_eq!(rested.map(|it| it.0), wanted.key);
                lease
            }
            Asked::Dial(lease) => lease,
            Asked::Replace(lease, gone) => {
                assert!(self.resting.remove(&(pool, gone)).is_some());
                lease
            }
            Asked::Wait(ticket) => {
                // Whoever waits for a role waits in two queues: in its pool's, and with its pool in the role's line.
                let queues = 2;
                let by = self.round + queues * (waiting + self.clients.len()) * ROUNDS_EACH;
                self.clients[at].doing = Doing::Waits(ticket, by);
                return self.settle();
            }
        };
        self.clients[at].doing = Doing::Holds(lease, wanted.key.unwrap_or('a'));
        self.settle();
    }

    fn give_back(&mut self, at: usize, is_clean: bool) {
        let pool = self.clients[at].pool;
        let Doing::Holds(lease, key) = std::mem::replace(&mut self.clients[at].doing, Doing::Idle)
        else {
            return;
        };
        let clean = is_clean.then_some((key, self.clients[at].wanted.home));
        match self.pools[pool].give_back(lease, clean, SECOND) {
            Returned::Rest { kept, closed } => {
                let group = self.clients[at].wanted.group;
                self.resting.insert((pool, kept), (key, group));
                for gone in closed {
                    assert!(self.resting.remove(&(pool, gone)).is_some());
                }
            }
            Returned::HandTo(ticket, lease) => {
                let called = self.called(pool, ticket, lease);
                assert_eq!(self.clients[called].wanted.key, Some(key));
            }
            Returned::CloseAndCall(ticket, lease) => drop(self.called(pool, ticket, lease)),
            Returned::Close => {}
        }
        self.settle();
    }

    fn called(&mut self, pool: usize, ticket: Ticket, lease: Lease) -> usize {
        let is_it = |client: &Client| {
            client.pool == pool && matches!(client.doing, Doing::Waits(it, _) if it == ticket)
        };
        let at = self
            .clients
            .iter()
            .position(is_it)
            .expect("somebody who waits");
        let key = self.clients[at].wanted.key.unwrap_or('a');
        self.clients[at].doing = Doing::Holds(lease, key);
        at
    }

    /// As the shell does after each step.
    fn settle(&mut self) {
        loop {
            let due = self.roles.borrow_mut().next_due();
            let Some(group) = due else { return };
            loop {
                let Some(first) = self.roles.borrow().first(group) else {
                    break;
                };
                let at = first.0 as usize;
                self.serve(at);
                if self.roles.borrow().first(group) != Some(first) {
                    continue;
                }
                if !self.pools[at].is_held_up(group) {
                    self.roles.borrow_mut().step_out(group, first);
                    continue;
                }
                let pools = self.pools.iter_mut().enumerate();
                let yielded = pools
                    .filter(|(other, _)| *other != at)
                    .find_map(|(other, pool)| Some((other, pool.yield_one(group)?)));
                let Some(yielded) = yielded else { break };
                assert!(self.resting.remove(&yielded).is_some());
            }
        }
    }

    fn serve(&mut self, at: usize) {
        while let Some(served) = self.pools[at].serve() {
            let (ticket, lease) = match served {
                Served::Rested(ticket, lease) => {
                    assert!(self.resting.remove(&(at, lease.number())).is_some());
                    (ticket, lease)
                }
                Served::Dial(ticket, lease) => (ticket, lease),
                Served::Replace(ticket, lease, gone) => {
                    assert!(self.resting.remove(&(at, gone)).is_some());
                    (ticket, lease)
                }
            };
            self.called(at, ticket, lease);
        }
    }

    /// What must hold after each step.
    fn check(&mut self) {
        let mut counts: BTreeMap<(usize, Group), usize> = BTreeMap::new();
        for client in &self.clients {
            if let Doing::Holds(..) = client.doing {
                *counts
                    .entry((client.pool, client.wanted.group))
                    .or_default() += 1;
            }
            if let Doing::Waits(_, by) = client.doing {
                let Client { pool, wanted, .. } = client;
                let two_limits =
                    wanted.role_max.is_some() && self.bounds[*pool].connections_max.is_some();
                if two_limits {
                    continue;
                }
                let pool = &self.pools[*pool];
                assert!(
                    self.round <= by,
                    "round {}: {wanted:?} waits in {pool:?}, {:?}",
                    self.round,
                    self.roles
                );
            }
        }
        for ((pool, _), (_, group)) in &self.resting {
            *counts.entry((*pool, *group)).or_default() += 1;
        }
        let count = |pool: usize, group: Group| counts.get(&(pool, group)).copied().unwrap_or(0);
        for client in &self.clients {
            let Wanted {
                group,
                group_max,
                role_max,
                ..
            } = client.wanted;
            let here = count(client.pool, group);
            assert_eq!(here, self.pools[client.pool].existing(group));
            assert!(
                group_max.is_none_or(|max| here <= max),
                "{here} of {group:?}"
            );
            let all: usize = (0..self.pools.len()).map(|pool| count(pool, group)).sum();
            assert_eq!(all, self.roles.borrow().count(group));
            assert!(role_max.is_none_or(|max| all <= max), "{all} of {group:?}");
        }
        for (at, pool) in self.pools.iter().enumerate() {
            let max = self.bounds[at].connections_max.unwrap_or(usize::MAX);
            let total = pool.lent() + pool.resting();
            assert!(total <= max);
            let own = |group: Group| self.guaranteed.get(&group).copied().unwrap_or(0);
            let here = |group: Group| {
                self.clients
                    .iter()
                    .any(|it| (it.pool, it.wanted.group) == (at, group))
            };
            for ((_, group), now) in counts.iter().filter(|((pool, _), _)| *pool == at) {
                let before = self.before.get(&(at, *group)).copied().unwrap_or(0);
                if *now > before && *now > own(*group) {
                    let others = self
                        .guaranteed
                        .keys()
                        .filter(|it| *it != group && here(**it));
                    let short: usize = others
                        .map(|it| own(*it).saturating_sub(count(at, *it)))
                        .sum();
                    assert!(
                        total.saturating_add(short) <= max,
                        "{group:?} took what is another's"
                    );
                }
            }
        }
        self.before = counts;
        // Nobody waits for what is there.
        for at in 0..self.pools.len() {
            assert_eq!(self.pools[at].serve(), None);
        }
    }
}

proptest! {
    /// In each round everybody who has a connection gives it back, in any order, and asks anew at once.
    #[test]
    fn limits_are_exact_and_every_wait_is_bounded(seed in any::<u64>()) {
        let mut chance = Chance(seed);
        let mut world = World::new(&mut chance);
        for at in 0..world.clients.len() {
            world.ask(at);
            world.check();
        }
        for _ in 0..200 {
            world.round += 1;
            let holds = |it: &usize| matches!(world.clients[*it].doing, Doing::Holds(..));
            let mut holders: Vec<_> = (0..world.clients.len()).filter(holds).collect();
            while !holders.is_empty() {
                let at = holders.swap_remove(chance.below(holders.len()));
                world.give_back(at, chance.below(8) > 0);
                world.check();
                world.ask(at);
                world.check();
            }
        }
    }
}
