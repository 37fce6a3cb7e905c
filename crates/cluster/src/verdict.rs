//! Owns the verdict about a cluster: from what its hosts said to who is the leader, and what changed by that.
//!
//! Takes members, reports and the time. A primary counts if it is up by its own word now, of the cluster's system, and
//! of a timeline that is not over; and only if it is the one. That a host is demoted is believed at once, that it is
//! dead after some failures, or at once where its kernel says that nobody listens.

use crate::view::{Host, Leader, Refused, Role, View};
use crate::{Health, Key, Lsn, Member, Report, Sick};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// How hosts are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How often a host is asked that does well.
    pub interval: Duration,
    /// The longest pause before a dead one is asked again.
    pub pause_max: Duration,
    /// Failures in a row after which it is thought dead, where one isn't certain.
    pub fall: u32,
    /// Answers in a row after which a dead one is trusted again.
    pub rise: u32,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            interval: Duration::from_millis(500),
            pause_max: Duration::from_secs(15),
            fall: 2,
            rise: 2,
        }
    }
}

/// Something that changed, for the log and for events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A host belongs to the cluster from now on.
    Came(Key),
    /// It does no more.
    Went(Key),
    /// It answers.
    Up(Key),
    /// It doesn't, for this reason.
    Down(Key, Sick),
    /// It is something else than before.
    Role(Key, Role, Role),
    /// Another one is written to, or none.
    Leader(Leader, Leader),
}

impl Change {
    /// True if an operator has to look at it: nobody is written to, or a host was refused.
    pub fn is_grave(&self) -> bool {
        match self {
            Change::Leader(_, to) => to.key().is_none(),
            Change::Role(_, _, to) => matches!(to, Role::Refused(_)),
            Change::Down(..) => true,
            Change::Came(_) | Change::Went(_) | Change::Up(_) => false,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Came(key) => write!(f, "{key} belongs to the cluster"),
            Change::Went(key) => write!(f, "{key} belongs to the cluster no more"),
            Change::Up(key) => write!(f, "{key} is up"),
            Change::Down(key, sick) => {
                write!(f, "{key} is down ({}): {}", sick.why.word(), sick.text)
            }
            Change::Role(key, from, to) => {
                write!(f, "{key} is {} now; it was {}", to.word(), from.word())
            }
            Change::Leader(from, to) => match (from.key(), to.key()) {
                (Some(from), Some(to)) => {
                    write!(f, "{to} is written to from now on, and {from} no more")
                }
                (None, Some(to)) => write!(f, "{to} is written to from now on"),
                (Some(from), None) => write!(f, "{from} is written to no more: {to}"),
                (None, None) => write!(f, "nobody is written to: {to}"),
            },
        }
    }
}

/// A cluster, and all that is known of it.
#[derive(Debug)]
pub struct Cluster {
    rules: Rules,
    entries: Vec<Entry>,
    /// The leader by the place where the members are kept, if that names one.
    named: Option<Key>,
    /// Whose data it is, once that was decided.
    system: Option<u64>,
    /// The highest timeline that anybody was written to on.
    timeline: u32,
    leader: Leader,
    /// Somebody waits for another leader.
    hurried: bool,
    version: u64,
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Entry {
    member: Member,
    health: Health,
    report: Option<(Report, Duration)>,
    role: Role,
    drained: bool,
    /// When it is to be asked next.
    due: Duration,
}

impl Entry {
    fn new(member: Member, now: Duration) -> Entry {
        Entry {
            member,
            health: Health::Unknown,
            report: None,
            role: Role::Unknown,
            drained: false,
            due: now,
        }
    }

    /// What it said, if that still goes.
    fn says(&self) -> Option<&Report> {
        let report = self.report.as_ref().filter(|_| self.health.is_up());
        report.map(|(report, _)| report)
    }

    fn is_primary(&self) -> bool {
        self.says().is_some_and(|it| !it.in_recovery)
    }
}

impl Cluster {
    /// A cluster of which nothing is known.
    pub fn new(rules: Rules) -> Cluster {
        Cluster {
            rules,
            entries: Vec::new(),
            named: None,
            system: None,
            timeline: 0,
            leader: Leader::NotYetKnown,
            hurried: false,
            version: 0,
            changes: Vec::new(),
        }
    }

    /// Other rules from now on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Who belongs to it, and who is named as the leader where that is kept. What is known of those that stay, stays.
    pub fn set_members(&mut self, members: Vec<Member>, named: Option<Key>, now: Duration) {
        let mut before = std::mem::take(&mut self.entries);
        for member in members {
            if self.entries.iter().any(|it| it.member.key == member.key) {
                continue;
            }
            let found = before.iter().position(|it| it.member.key == member.key);
            self.entries.push(match found {
                Some(at) => Entry {
                    member,
                    ..before.swap_remove(at)
                },
                None => {
                    self.changes.push(Change::Came(member.key.clone()));
                    Entry::new(member, now)
                }
            });
        }
        let gone = before.into_iter().map(|it| Change::Went(it.member.key));
        self.changes.extend(gone);
        self.named = named;
        self.version += 1;
        self.decide(now);
    }

    /// Asks nothing new of a host, or does so again.
    pub fn drain(&mut self, key: &Key, drained: bool) -> bool {
        let found = self.entries.iter_mut().find(|it| it.member.key == *key);
        self.version += 1;
        found.map(|it| it.drained = drained).is_some()
    }

    /// What a host answered.
    pub fn observe(&mut self, key: &Key, outcome: Result<Report, Sick>, now: Duration) {
        let rules = self.rules;
        let Some(entry) = self.entries.iter_mut().find(|it| it.member.key == *key) else {
            return;
        };
        let was_up = entry.health.is_up();
        let health = std::mem::replace(&mut entry.health, Health::Unknown);
        entry.health = match outcome {
            Ok(report) => {
                entry.report = Some((report, now));
                health.answered(rules.rise, now)
            }
            Err(sick) => health.failed(sick, rules.fall, now),
        };
        match &entry.health {
            Health::Up { .. } if !was_up => {
                self.version += 1;
                self.changes.push(Change::Up(key.clone()));
            }
            Health::Down { sick, failures, .. } if was_up || *failures == 1 => {
                self.version += 1;
                // The second failure of one that never answered is no news.
                let news = Change::Down(key.clone(), sick.clone());
                self.changes.push(news);
            }
            _ => {}
        }
        self.decide(now);
        let wanted = self.hurried || matches!(self.leader, Leader::None);
        if let Some(entry) = self.entries.iter_mut().find(|it| it.member.key == *key) {
            let wanted = wanted && entry.health.is_up();
            entry.due = now + entry.health.pause(rules.interval, rules.pause_max, wanted);
        }
    }

    /// Real traffic met trouble there: it is asked at once.
    pub fn suspect(&mut self, key: &Key, now: Duration) {
        if let Some(entry) = self.entries.iter_mut().find(|it| it.member.key == *key) {
            entry.due = entry.due.min(now);
        }
    }

    /// Somebody waits for another leader, or does no more.
    pub fn hurry(&mut self, hurried: bool, now: Duration) {
        self.hurried = hurried;
        if hurried {
            self.ask_at_once(now);
        }
    }

    /// Whoever does well may be the leader by now.
    fn ask_at_once(&mut self, now: Duration) {
        for entry in self.entries.iter_mut().filter(|it| it.health.is_up()) {
            entry.due = entry.due.min(now);
        }
    }

    /// When a host is to be asked next; `None` if it is none of ours.
    pub fn due(&self, key: &Key) -> Option<Duration> {
        let found = self.entries.iter().find(|it| it.member.key == *key);
        found.map(|it| it.due)
    }

    /// Its hosts.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.entries.iter().map(|it| &it.member)
    }

    /// What changed since this was last asked.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// What is known now.
    pub fn view(&self) -> View {
        let leads = self.leader.key();
        let end = self.entries.iter().find(|it| Some(&it.member.key) == leads);
        let end = end.and_then(|it| it.report.as_ref()).map(|(it, _)| it.lsn);
        let host = |entry: &Entry| {
            let report = entry.report.as_ref().map(|(it, _)| it);
            let lag = |(end, report): (Lsn, &Report)| end.0.saturating_sub(report.lsn.0);
            Host {
                key: entry.member.key.clone(),
                weight: entry.member.weight,
                zone: entry.member.zone.clone(),
                health: entry.health.clone(),
                role: entry.role,
                report: entry.report.clone(),
                lag_bytes: end.zip(report).map(lag),
                drained: entry.drained,
            }
        };
        View {
            version: self.version,
            leader: self.leader.clone(),
            hosts: self.entries.iter().map(host).collect(),
        }
    }

    fn decide(&mut self, now: Duration) {
        let undecided = self.leader == Leader::NotYetKnown;
        let unasked = |it: &Entry| it.health == Health::Unknown;
        if undecided && (self.entries.is_empty() || self.entries.iter().any(unasked)) {
            return;
        }
        if self.system.is_none() {
            self.system = self.most_common_system();
        }
        let leader = self.elect(now);
        self.assign_roles(&leader);
        if let Some(key) = leader.key() {
            let leads = self.entries.iter().find(|it| it.member.key == *key);
            let timeline = leads.and_then(Entry::says).map_or(0, |it| it.timeline);
            self.timeline = self.timeline.max(timeline);
        }
        if leader != self.leader {
            self.version += 1;
            if leader == Leader::None {
                self.ask_at_once(now);
            }
            let from = std::mem::replace(&mut self.leader, leader.clone());
            self.changes.push(Change::Leader(from, leader));
        }
    }

    /// The system that most of those who answer are of; `None` if no one has more than each other.
    fn most_common_system(&self) -> Option<u64> {
        let named = self
            .entries
            .iter()
            .find(|it| Some(&it.member.key) == self.named.as_ref());
        if let Some(report) = named.and_then(Entry::says) {
            return Some(report.system);
        }
        let mut counts = HashMap::<u64, usize>::new();
        for report in self.entries.iter().filter_map(Entry::says) {
            *counts.entry(report.system).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        let mut common = counts.iter().filter(|(_, count)| **count == most);
        let first = common.next().map(|(system, _)| *system);
        first.filter(|_| common.next().is_none())
    }

    fn is_of_system(&self, entry: &Entry) -> bool {
        let system = entry.says().map(|it| it.system);
        self.system.is_some() && system == self.system
    }

    /// Primaries that nothing speaks against but each other.
    fn elect(&self, now: Duration) -> Leader {
        let primaries = || {
            self.entries
                .iter()
                .filter(|it| it.is_primary() && self.is_of_system(it))
        };
        let timeline = |it: &&Entry| it.says().map_or(0, |it| it.timeline);
        let last = primaries().map(|it| timeline(&it)).max().unwrap_or(0);
        let mut candidates = primaries().filter(|it| {
            let report = it.says();
            timeline(it) == last && last >= self.timeline && report.is_some_and(|it| !it.read_only)
        });
        let (first, second) = (candidates.next(), candidates.next());
        match (first, second) {
            (None, _) => Leader::None,
            (Some(one), None) => {
                let says = one.member.key.clone();
                match &self.named {
                    Some(named) if *named != says => Leader::Disagreed {
                        named: named.clone(),
                        says,
                    },
                    _ => match &self.leader {
                        Leader::Is(before, since) if *before == says => Leader::Is(says, *since),
                        _ => Leader::Is(says, now),
                    },
                }
            }
            (Some(one), Some(other)) => {
                let mut keys = vec![one.member.key.clone(), other.member.key.clone()];
                keys.extend(candidates.map(|it| it.member.key.clone()));
                Leader::Split(keys)
            }
        }
    }

    fn assign_roles(&mut self, leader: &Leader) {
        let leads = self
            .entries
            .iter()
            .find(|it| Some(&it.member.key) == leader.key());
        let present = leads
            .and_then(Entry::says)
            .map_or(self.timeline, |it| it.timeline);
        let present = present.max(self.timeline);
        let system = self.system;
        for entry in &mut self.entries {
            let Some(report) = entry.says() else {
                continue;
            };
            let key = &entry.member.key;
            let role = match report {
                it if Some(it.system) != system => Role::Refused(Refused::OtherSystem),
                it if it.in_recovery => Role::Standby,
                it if it.timeline < present => Role::Refused(Refused::OldTimeline),
                it if it.read_only => Role::ReadOnlyPrimary,
                _ => match leader {
                    Leader::Split(keys) if keys.contains(key) => Role::Refused(Refused::Split),
                    _ => Role::Primary,
                },
            };
            if role != entry.role {
                let from = std::mem::replace(&mut entry.role, role);
                self.version += 1;
                if from != Role::Unknown {
                    let change = Change::Role(entry.member.key.clone(), from, role);
                    self.changes.push(change);
                }
            }
        }
    }
}
