//! Owns the task of one cluster: it has hosts asked when they are due, has `cluster` decide, shows what is known, and
//! has the pools led.

use super::ask::{Answer, Asker};
use super::fleet::{Errand, Fleet, Reached, Seen};
use super::lead;
use super::tell::Told;
use crate::context::Context;
use crate::setup::{self, Found, Located, MembersPlan};
use cluster::{Cluster, Key, Leader, Member};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

/// The longest time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps a cluster until it is told to end.
pub(super) async fn keep(
    context: Arc<Context>,
    fleet: Arc<Fleet>,
    plan: setup::Cluster,
    mut errands: mpsc::UnboundedReceiver<Errand>,
) {
    let (answers, mut answered) = mpsc::unbounded_channel();
    let mut keeper = Keeper {
        cluster: Cluster::new(plan.rules),
        told: Told::new(&fleet.name),
        context,
        fleet,
        plan,
        hosts: HashMap::new(),
        answers,
        led: 0,
    };
    keeper.enlist();
    let mut feed = keeper.feed();
    loop {
        keeper.ask_those_due();
        keeper.show();
        let pause = keeper.until_due();
        tokio::select! {
            errand = errands.recv() => match errand {
                Some(Errand::End) | None => break,
                Some(errand) => keeper.run(errand),
            },
            Some(Answer { key, at, said }) = answered.recv() => {
                if let Some(known) = keeper.hosts.get_mut(&key) {
                    known.is_asked = false;
                }
                keeper.cluster.observe(&key, said, at);
            }
            () = fed(&mut feed) => keeper.enlist(),
            () = tokio::time::sleep(pause) => {}
        }
        if let Some(named) = keeper.feed()
            && feed.as_ref().is_none_or(|it| !it.same_channel(&named))
        {
            feed = Some(named);
            keeper.enlist();
        }
    }
    keeper.hosts.clear();
    keeper.told.end(&keeper.context);
}

/// Ready when the members that are fed are others.
async fn fed(feed: &mut Option<watch::Receiver<Option<Found>>>) {
    if let Some(found) = feed
        && found.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

struct Keeper {
    cluster: Cluster,
    context: Arc<Context>,
    fleet: Arc<Fleet>,
    plan: setup::Cluster,
    hosts: HashMap<Key, Known>,
    answers: mpsc::UnboundedSender<Answer>,
    /// The version of the view that pools were last led by.
    led: u64,
    /// What people know.
    told: Told,
}

/// A host that is asked.
struct Known {
    located: Located,
    reached: Reached,
    bell: Arc<Notify>,
    is_asked: bool,
    task: JoinHandle<()>,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keeper {
    fn now(&self) -> Duration {
        self.context.born.elapsed()
    }

    fn run(&mut self, errand: Errand) {
        match errand {
            Errand::Suspect(key) => {
                let now = self.now();
                self.cluster.suspect(&key, now);
                self.hurry();
            }
            Errand::Hurry(hurried) => self.cluster.hurry(hurried, self.now()),
            Errand::Drain(key, drained, done) => {
                let _ = done.send(self.cluster.drain(&key, drained));
            }
            Errand::Lead(done) => {
                self.show();
                let _ = done.send(());
            }
            Errand::Setup(plan) => {
                self.plan = *plan;
                self.cluster.set_rules(self.plan.rules);
                // How hosts are reached may have changed; who they are has not, before their source says so.
                let hosts = std::mem::take(&mut self.hosts);
                let mut members: Vec<_> = hosts.values().map(|it| it.located.clone()).collect();
                drop(hosts);
                members.sort_by(|one, other| one.member.key.cmp(&other.member.key));
                let leader = None;
                let found = self.found();
                self.admit(found.unwrap_or(Found { members, leader }));
            }
            Errand::End => {}
        }
    }

    /// Where it is heard who the members are, if that is not here.
    fn feed(&self) -> Option<watch::Receiver<Option<Found>>> {
        match &self.plan.members {
            MembersPlan::Fed(feed) => Some(feed.found.clone()),
            MembersPlan::Listed(_) => None,
        }
    }

    /// Has those asked that belong to the cluster by what was found last. Before anything is found nobody is lost.
    fn enlist(&mut self) {
        if let Some(found) = self.found() {
            self.admit(found);
        }
    }

    /// Who belongs to the cluster; `None` if that is not known yet.
    fn found(&self) -> Option<Found> {
        match &self.plan.members {
            MembersPlan::Listed(members) => Some(Found {
                members: members.clone(),
                leader: None,
            }),
            MembersPlan::Fed(feed) => feed.found.borrow().clone(),
        }
    }

    fn admit(&mut self, found: Found) {
        let Found {
            members: located,
            leader,
        } = found;
        let members: Vec<Member> = located.iter().map(|it| it.member.clone()).collect();
        self.hosts.retain(|key, known| {
            located
                .iter()
                .any(|it| it.member.key == *key && *it == known.located)
        });
        for it in located {
            let key = it.member.key.clone();
            if self.hosts.contains_key(&key) {
                continue;
            }
            match self.plan.templates.at(&it) {
                Ok(host) => {
                    let known = self.know(it, Arc::new(host));
                    self.hosts.insert(key, known);
                }
                Err(fault) => tracing::error!(
                    target: "portcullis::clusters",
                    cluster = self.fleet.name,
                    host = key.as_str(),
                    "{fault}; this host is left out"
                ),
            }
        }
        let now = self.now();
        let is_known = |it: &Member| self.hosts.contains_key(&it.key);
        let members = members.into_iter().filter(is_known).collect();
        self.cluster.set_members(members, leader, now);
    }

    /// Where members are found elsewhere, they may have changed.
    fn hurry(&self) {
        if let MembersPlan::Fed(feed) = &self.plan.members {
            feed.hurry.notify_one();
        }
    }

    fn know(&self, located: Located, host: Arc<setup::Host>) -> Known {
        let bell = Arc::new(Notify::new());
        let asker = Asker {
            context: Arc::clone(&self.context),
            key: located.member.key.clone(),
            host: Arc::clone(&host),
            check: self.plan.check.clone(),
            bell: Arc::clone(&bell),
            answers: self.answers.clone(),
        };
        let seen = self.fleet.seen();
        let busy = seen.hosts.get(&located.member.key);
        Known {
            reached: Reached {
                host,
                located: located.clone(),
                busy: busy.map(|it| Arc::clone(&it.busy)).unwrap_or_default(),
            },
            located,
            bell,
            is_asked: false,
            task: tokio::spawn(asker.run()),
        }
    }

    fn ask_those_due(&mut self) {
        let now = self.now();
        for (key, known) in &mut self.hosts {
            if !known.is_asked && self.cluster.due(key).is_some_and(|it| it <= now) {
                known.is_asked = true;
                known.bell.notify_one();
            }
        }
    }

    fn until_due(&self) -> Duration {
        let now = self.now();
        let waiting = self.hosts.iter().filter(|(_, known)| !known.is_asked);
        let due = waiting.filter_map(|(key, _)| self.cluster.due(key)).min();
        due.map_or(LOOK, |it| it.saturating_sub(now)).min(LOOK)
    }

    fn show(&mut self) {
        let view = self.cluster.view();
        // Who was found just now and not asked yet is no reason to look again.
        let begins = view.leader == Leader::NotYetKnown && !view.hosts.is_empty();
        if view.leader.key().is_none() && !begins {
            // Where a leader is named, another one may be by now.
            self.hurry();
        }
        let hosts = self.hosts.iter();
        self.fleet.show(Seen {
            hosts: hosts
                .map(|(key, known)| (key.clone(), known.reached.clone()))
                .collect(),
            reads: self.plan.reads.clone(),
            switchover: self.plan.switchover.clone(),
            without_primary: self.plan.without_primary,
            at: self.now(),
            view,
        });
        let seen = self.fleet.seen();
        for change in &self.cluster.take_changes() {
            self.told.tell(&self.context, change, &seen.view);
        }
        lead::pools(&self.context, &self.fleet, &mut self.led);
    }
}
