//! Owns what people are told of a cluster: a line in the log and an event for each change.
//!
//! What began is told to be over: that a cluster has no leader, and that a host can't be used. Takes changes, the view
//! after them and the time; remembers what has begun.

use crate::context::Context;
use crate::happenings;
use cluster::{Change, Key, Leader, Role, View};
use events::{Event, Kind, Phase};
use std::collections::HashMap;
use std::time::Duration;

/// What was told of a cluster and is not over yet.
pub(super) struct Told {
    cluster: String,
    /// Since when there is no leader, while there is none.
    leaderless: Option<Duration>,
    /// The last leader that there was.
    led: Option<Key>,
    /// Since when hosts can't be used.
    troubles: HashMap<Key, Duration>,
}

impl Told {
    /// Nothing yet.
    pub(super) fn new(cluster: &str) -> Told {
        Told {
            cluster: cluster.to_owned(),
            leaderless: None,
            led: None,
            troubles: HashMap::new(),
        }
    }

    /// One line and one event for a change.
    pub(super) fn tell(&mut self, context: &Context, change: &Change, view: &View) {
        let cluster = &*self.cluster;
        match change.is_grave() {
            true => tracing::warn!(target: "portcullis::clusters", cluster, "{change}"),
            false => tracing::info!(target: "portcullis::clusters", cluster, "{change}"),
        }
        let (now, at_ms) = (context.born.elapsed(), happenings::now_ms());
        if let Some(event) = self.event(change, view, (now, at_ms)) {
            context.events.post(event);
        }
    }

    /// The cluster is followed no more: whatever began is over.
    pub(super) fn end(&mut self, context: &Context) {
        let time = (context.born.elapsed(), happenings::now_ms());
        for event in self.ends(time) {
            context.events.post(event);
        }
    }

    /// The event of a change at `now`, by the clock of the view, and `at_ms` since 1970.
    fn event(
        &mut self,
        change: &Change,
        view: &View,
        (now, at_ms): (Duration, u64),
    ) -> Option<Event> {
        let (key, facts) = match change {
            Change::Leader(from, to) => return self.leader_event(from, to, (now, at_ms)),
            Change::Came(key) => (key, vec![("change", "came")]),
            Change::Went(key) => (key, vec![("change", "went")]),
            Change::Up(key) => (key, vec![("change", "up")]),
            Change::Down(key, sick) => {
                let why = ("why", sick.why.word());
                (key, vec![("change", "down"), why, ("text", &*sick.text)])
            }
            Change::Role(key, from, to) => {
                let (from, to) = (("from", from.word()), ("to", to.word()));
                (key, vec![("change", "role"), from, to])
            }
        };
        let (phase, lasted) = self.phase(change, key, view, now);
        let event = self.of_host(key, phase, at_ms);
        let with = |event: Event, (name, fact): (&'static str, &str)| event.with(name, fact);
        Some(lasting(facts.into_iter().fold(event, with), lasted))
    }

    /// Which host is found first is no news; that none is found is.
    fn leader_event(
        &mut self,
        from: &Leader,
        to: &Leader,
        (now, at_ms): (Duration, u64),
    ) -> Option<Event> {
        let before = self.led.clone();
        self.led = to.key().or(before.as_ref()).cloned();
        let (phase, lasted) = match (to.key(), self.leaderless) {
            (Some(_), Some(since)) => {
                self.leaderless = None;
                (Phase::Ended, Some(now.saturating_sub(since)))
            }
            (Some(_), None) if from.key().is_none() => return None,
            (None, None) => {
                self.leaderless = Some(now);
                (Phase::Began, None)
            }
            (Some(_), None) | (None, Some(_)) => (Phase::Happened, None),
        };
        let mut event = self.of_cluster(phase, at_ms);
        if let Some(before) = &before {
            event = event.with("from", before.as_str());
        }
        let event = match to.key() {
            Some(to) => event.with("to", to.as_str()),
            None => event.with("why", &*to.to_string()),
        };
        Some(lasting(event, lasted))
    }

    /// Where in its course a change of a host stands, and how long what is over has lasted.
    fn phase(
        &mut self,
        change: &Change,
        key: &Key,
        view: &View,
        now: Duration,
    ) -> (Phase, Option<Duration>) {
        let has_trouble = self.troubles.contains_key(key);
        if change.is_grave() && !has_trouble {
            self.troubles.insert(key.clone(), now);
            return (Phase::Began, None);
        }
        match has_trouble && !is_in_trouble(view, key) {
            true => {
                let since = self.troubles.remove(key);
                let lasted = since.map(|since| now.saturating_sub(since));
                (Phase::Ended, lasted)
            }
            false => (Phase::Happened, None),
        }
    }

    fn ends(&mut self, (now, at_ms): (Duration, u64)) -> Vec<Event> {
        const WHY: &str = "the cluster is followed no more";
        let mut ends = Vec::new();
        if let Some(since) = self.leaderless.take() {
            let event = self.of_cluster(Phase::Ended, at_ms).with("why", WHY);
            ends.push(lasting(event, Some(now.saturating_sub(since))));
        }
        let mut troubles: Vec<_> = std::mem::take(&mut self.troubles).into_iter().collect();
        troubles.sort();
        for (key, since) in troubles {
            let event = self.of_host(&key, Phase::Ended, at_ms);
            let event = event.with("change", "went").with("why", WHY);
            ends.push(lasting(event, Some(now.saturating_sub(since))));
        }
        ends
    }

    fn of_cluster(&self, phase: Phase, at_ms: u64) -> Event {
        let cluster = &*self.cluster;
        let subject = format!("cluster {cluster}");
        Event::new(at_ms, Kind::Leader, phase, &subject).with("cluster", cluster)
    }

    fn of_host(&self, key: &Key, phase: Phase, at_ms: u64) -> Event {
        let cluster = &*self.cluster;
        let event = Event::new(at_ms, Kind::Host, phase, &format!("host {cluster}/{key}"));
        event.with("cluster", cluster).with("host", key.as_str())
    }
}

/// True if a host of the cluster can't be used; one that went is nobody's trouble.
fn is_in_trouble(view: &View, key: &Key) -> bool {
    let refused = |role: Role| matches!(role, Role::Refused(_));
    let host = view.host(key);
    host.is_some_and(|it| !it.health.is_up() || refused(it.role))
}

fn lasting(event: Event, lasted: Option<Duration>) -> Event {
    match lasted {
        Some(lasted) => {
            let ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            event.with("lasted_ms", ms)
        }
        None => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::{Cluster, Lsn, Member, Report, Rules, Sick, Why};

    /// A cluster that is asked as a story goes, and what is told of it.
    struct Story {
        cluster: Cluster,
        told: Told,
        now_ms: u64,
    }

    fn key(name: &str) -> Key {
        Key::new(name, 5432)
    }

    fn report(timeline: u32, in_recovery: bool) -> Result<Report, Sick> {
        Ok(Report {
            in_recovery,
            read_only: false,
            system: 7,
            timeline,
            lsn: Lsn(100),
            behind: None,
        })
    }

    fn refused() -> Result<Report, Sick> {
        let text = "nobody listens".to_owned();
        Err(Sick {
            why: Why::Refused,
            text,
        })
    }

    impl Story {
        fn begin(names: &[&str]) -> (Story, Vec<String>) {
            let mut story = Story {
                cluster: Cluster::new(Rules::default()),
                told: Told::new("main"),
                now_ms: 1000,
            };
            let heard = story.members(names);
            (story, heard)
        }

        fn members(&mut self, names: &[&str]) -> Vec<String> {
            let members = names.iter().map(|it| Member::plain(key(it))).collect();
            let now = Duration::from_millis(self.now_ms);
            self.cluster.set_members(members, None, now);
            self.heard()
        }

        /// What is told when a host answers so, a second later.
        fn says(&mut self, name: &str, answer: Result<Report, Sick>) -> Vec<String> {
            self.now_ms += 1000;
            let now = Duration::from_millis(self.now_ms);
            self.cluster.observe(&key(name), answer, now);
            self.heard()
        }

        fn heard(&mut self) -> Vec<String> {
            let view = self.cluster.view();
            let time = (Duration::from_millis(self.now_ms), self.now_ms);
            let changes = self.cluster.take_changes();
            let events = changes
                .iter()
                .filter_map(|it| self.told.event(it, &view, time));
            events.map(|it| words(&it)).collect()
        }
    }

    fn words(event: &Event) -> String {
        let (kind, phase) = (event.kind.word(), event.phase.word());
        let facts = event.facts_in_words();
        let facts = facts.replace("cluster=main ", "");
        format!("{kind} {phase} {}: {facts}", event.subject)
    }

    #[test]
    fn a_failover_and_the_return_of_the_old_primary() {
        let (mut story, heard) = Story::begin(&["a", "b"]);
        assert_eq!(
            heard,
            [
                "host happened host main/a:5432: host=a:5432 change=came",
                "host happened host main/b:5432: host=b:5432 change=came",
            ]
        );
        let first = story.says("a", report(1, false));
        assert_eq!(
            first,
            ["host happened host main/a:5432: host=a:5432 change=up"]
        );
        let second = story.says("b", report(1, true));
        // Who is found first is no news.
        assert_eq!(
            second,
            ["host happened host main/b:5432: host=b:5432 change=up"]
        );
        assert_eq!(
            story.says("a", refused()),
            [
                "host began host main/a:5432: host=a:5432 change=down why=refused text=nobody listens",
                "leader began cluster main: from=a:5432 why=no host says that it is the primary",
            ]
        );
        assert_eq!(
            story.says("b", report(2, false)),
            [
                "host happened host main/b:5432: host=b:5432 change=role from=standby to=primary",
                "leader ended cluster main: from=a:5432 to=b:5432 lasted_ms=1000",
            ]
        );
        // It comes back as what it was: that it answers again doesn't make it one that can be used.
        assert!(story.says("a", report(1, false)).is_empty());
        assert_eq!(
            story.says("a", report(1, false)),
            [
                "host happened host main/a:5432: host=a:5432 change=up",
                "host happened host main/a:5432: host=a:5432 change=role from=primary to=refused: old timeline",
            ]
        );
        assert_eq!(
            story.says("a", report(2, true)),
            [
                "host ended host main/a:5432: host=a:5432 change=role from=refused: old timeline to=standby lasted_ms=4000",
            ]
        );
    }

    #[test]
    fn what_has_begun_ends_with_the_host_and_with_the_cluster() {
        let (mut story, _) = Story::begin(&["a", "b"]);
        story.says("a", refused());
        let heard = story.says("b", report(1, true));
        // None was there before.
        let leaderless = "leader began cluster main: why=no host says that it is the primary";
        assert_eq!(heard.last().map(String::as_str), Some(leaderless));
        assert_eq!(
            story.members(&["b"]),
            ["host ended host main/a:5432: host=a:5432 change=went lasted_ms=1000"]
        );
        story.says("b", refused());
        let ends = story
            .told
            .ends((Duration::from_millis(story.now_ms + 500), 0));
        let ends: Vec<_> = ends.iter().map(words).collect();
        assert_eq!(
            ends,
            [
                "leader ended cluster main: why=the cluster is followed no more lasted_ms=1500",
                "host ended host main/b:5432: host=b:5432 change=went why=the cluster is followed no more lasted_ms=500",
            ]
        );
        assert!(story.told.ends((Duration::ZERO, 0)).is_empty());
    }

    #[test]
    fn one_after_the_other_and_two_at_once() {
        let (mut story, _) = Story::begin(&["a", "b"]);
        story.says("a", report(1, false));
        story.says("b", report(1, true));
        // It was promoted before the other one was asked again.
        let heard = story.says("b", report(2, false));
        let leader = "leader happened cluster main: from=a:5432 to=b:5432";
        assert!(heard.iter().any(|it| it == leader), "{heard:?}");
        let old = "host began host main/a:5432: host=a:5432 change=role from=primary to=refused: old timeline";
        assert!(heard.iter().any(|it| it == old), "{heard:?}");
        assert_eq!(
            story.says("a", report(2, false)),
            [
                "host happened host main/a:5432: host=a:5432 change=role from=refused: old timeline to=refused: split brain",
                "host began host main/b:5432: host=b:5432 change=role from=primary to=refused: split brain",
                "leader began cluster main: from=b:5432 why=a:5432 and b:5432 all say that they are the primary of the same timeline",
            ]
        );
        let ended = [
            "host ended host main/a:5432: host=a:5432 change=role from=refused: split brain to=primary lasted_ms=2000",
            "host ended host main/b:5432: host=b:5432 change=role from=refused: split brain to=standby lasted_ms=1000",
            "leader ended cluster main: from=b:5432 to=a:5432 lasted_ms=1000",
        ];
        assert_eq!(story.says("b", report(2, true)), ended);
    }
}
