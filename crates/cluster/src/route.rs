//! Owns the choice of a host: from a wish, a view and how busy each host is, to one of them.

use crate::view::{Host, Role, View};
use crate::{Health, Key, Lsn};
use std::time::Duration;

/// Which kind of server somebody wants: libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Wish {
    /// The one that takes writes.
    #[default]
    Primary,
    /// A standby.
    Standby,
    /// A standby if there is one that can be used, else the primary.
    PreferStandby,
    /// Whichever.
    Any,
}

impl Wish {
    /// The wish by libpq's word for it; `read-write` and `primary` come to the same here, as a primary that refuses
    /// writes is nobody's, and so do `read-only` and `standby`.
    pub fn parse(word: &str) -> Option<Wish> {
        Some(match word {
            "primary" | "read-write" => Wish::Primary,
            "standby" | "read-only" => Wish::Standby,
            "prefer-standby" => Wish::PreferStandby,
            "any" => Wish::Any,
            _ => return None,
        })
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Wish::Primary => "primary",
            Wish::Standby => "standby",
            Wish::PreferStandby => "prefer-standby",
            Wish::Any => "any",
        }
    }
}

/// How one of several hosts is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Balance {
    /// The less busy one of two that are drawn by weight.
    #[default]
    LeastBusy,
    /// Each in its turn, by weight.
    RoundRobin,
}

/// What a host must be like that is read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// How much of the leader's log it may have yet to replay, in bytes; `None`: whatever it is.
    pub lag_bytes_max: Option<u64>,
    /// How old what it shows may be; `None`: whatever it is.
    pub lag_max: Option<Duration>,
    /// How one of several is chosen.
    pub balance: Balance,
    /// Hosts of this zone come first; empty: all alike.
    pub zone: String,
    /// How long one that was dead gets less than its share.
    pub slow_start: Duration,
}

/// What a choice needs beside the view.
pub struct Ready<'a> {
    /// Requests that each host works on.
    pub busy: &'a dyn Fn(&Key) -> usize,
    /// How many choices came before this one.
    pub turn: u64,
    /// A random number.
    pub chance: u64,
    /// The time, as the view has it.
    pub now: Duration,
    /// What the host must have replayed at least.
    pub least: Option<Lsn>,
}

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// To the leader.
    Leader,
    /// To this host.
    Standby(&'a Key),
    /// There is none now.
    Nobody,
}

/// Whom a wish leads to.
pub fn choose<'a>(view: &'a View, wish: Wish, reads: &Reads, ready: &Ready<'_>) -> Choice<'a> {
    let standbys = || -> Vec<&Host> {
        let usable = |it: &&Host| is_usable(it, reads, ready.least);
        view.hosts.iter().filter(usable).collect()
    };
    let leader = view.leader.key();
    match wish {
        Wish::Primary => match leader {
            Some(_) => Choice::Leader,
            None => Choice::Nobody,
        },
        Wish::Standby => pick(&standbys(), reads, ready),
        Wish::PreferStandby => match pick(&standbys(), reads, ready) {
            Choice::Nobody if leader.is_some() => Choice::Leader,
            choice => choice,
        },
        Wish::Any => {
            let mut all = standbys();
            all.extend(leader.and_then(|it| view.host(it)).filter(|it| !it.drained));
            match pick(&all, reads, ready) {
                Choice::Standby(key) if Some(key) == leader => Choice::Leader,
                Choice::Nobody if leader.is_some() => Choice::Leader,
                choice => choice,
            }
        }
    }
}

/// True if a standby may be read from.
fn is_usable(host: &Host, reads: &Reads, least: Option<Lsn>) -> bool {
    host.role == Role::Standby
        && host.health.is_up()
        && !host.drained
        && host.weight > 0
        && least.is_none_or(|least| host.lsn() >= least)
        // Without a leader nobody knows how far behind it is: it is as good as there is.
        && reads
            .lag_bytes_max
            .is_none_or(|most| host.lag_bytes.is_none_or(|lag| lag <= most))
        && reads.lag_max.is_none_or(|most| host.behind() <= most || host.lag_bytes == Some(0))
}

fn pick<'a>(hosts: &[&'a Host], reads: &Reads, ready: &Ready<'_>) -> Choice<'a> {
    let near: Vec<&Host> = match reads.zone.is_empty() {
        true => Vec::new(),
        false => hosts
            .iter()
            .copied()
            .filter(|it| it.zone == reads.zone)
            .collect(),
    };
    let hosts = match near.is_empty() {
        true => hosts,
        false => &near,
    };
    match hosts {
        [] => Choice::Nobody,
        [one] => Choice::Standby(&one.key),
        several => {
            let weighed = Weighed::new(several, reads, ready.now);
            let chosen = match reads.balance {
                Balance::RoundRobin => weighed.in_turn(ready.turn),
                Balance::LeastBusy => weighed.less_busy(ready),
            };
            Choice::Standby(&several[chosen].key)
        }
    }
}

/// Hosts with what each is to get.
struct Weighed<'a, 'b> {
    hosts: &'b [&'a Host],
    weights: Vec<u64>,
    total: u64,
}

impl<'a, 'b> Weighed<'a, 'b> {
    fn new(hosts: &'b [&'a Host], reads: &Reads, now: Duration) -> Weighed<'a, 'b> {
        let weights: Vec<u64> = hosts.iter().map(|it| weight(it, reads, now)).collect();
        let total = weights.iter().sum();
        Weighed {
            hosts,
            weights,
            total,
        }
    }

    /// The host that a number below the total falls on.
    fn at(&self, mut number: u64) -> usize {
        for (at, weight) in self.weights.iter().enumerate() {
            match number.checked_sub(*weight) {
                Some(rest) => number = rest,
                None => return at,
            }
        }
        self.weights.len() - 1
    }

    /// Steps of a golden section, so that turns of one host lie far apart; in as many steps as the total each gets
    /// exactly its weight.
    fn in_turn(&self, turn: u64) -> usize {
        let mut step = (self.total * 5 / 8).max(1);
        while gcd(step, self.total) != 1 {
            step += 1;
        }
        self.at((turn % self.total).wrapping_mul(step) % self.total)
    }

    fn less_busy(&self, ready: &Ready<'_>) -> usize {
        let (one, other) = (ready.chance as u32, (ready.chance >> 32) as u32);
        let one = self.at(u64::from(one) % self.total);
        let other = self.at(u64::from(other) % self.total);
        // Where both are as busy as their weight says, the draw stands.
        let load = |at: usize| (ready.busy)(&self.hosts[at].key) as u64;
        let (left, right) = (
            load(one) * self.weights[other],
            load(other) * self.weights[one],
        );
        match right < left {
            true => other,
            false => one,
        }
    }
}

/// What a host is to get; one that came back begins with little.
fn weight(host: &Host, reads: &Reads, now: Duration) -> u64 {
    let full = u64::from(host.weight).max(1) * 16;
    let (Health::Up {
        since,
        returned: true,
    }
    | Health::Doubtful {
        since,
        returned: true,
        ..
    }) = &host.health
    else {
        return full;
    };
    let up = now.saturating_sub(*since).as_millis();
    let slow = reads.slow_start.as_millis();
    if up >= slow {
        return full;
    }
    let part = u128::from(full) * up / slow.max(1);
    u64::try_from(part).unwrap_or(full).max(full / 10).max(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}
