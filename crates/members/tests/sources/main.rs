//! Sources that are asked for real: name servers, files, and services over HTTPS that answer by script.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

mod dns;
mod file;
mod services;

use members::{Fault, Found, Plan, Source};
use std::time::Duration;
use testkit::wait::LONG;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::timeout;

/// An interval that no test lives to see the end of.
const NEVER: Duration = Duration::from_secs(3600);

/// A source with a runtime of its own.
struct Asked {
    runtime: Runtime,
    source: Source,
    hurry: Notify,
}

impl Asked {
    fn new(plan: Plan) -> Asked {
        Asked {
            runtime: runtime(),
            source: Source::new(plan),
            hurry: Notify::new(),
        }
    }

    /// What it says next; fails if that takes too long.
    #[track_caller]
    fn next(&mut self) -> Result<Found, Fault> {
        let next = self.within(LONG);
        next.expect("an answer in time")
    }

    /// What it says next within this time, if it says anything.
    fn within(&mut self, limit: Duration) -> Option<Result<Found, Fault>> {
        let Asked {
            runtime,
            source,
            hurry,
        } = self;
        runtime.block_on(async { timeout(limit, source.next(hurry)).await.ok() })
    }

    /// The keys of what it finds next.
    #[track_caller]
    fn keys(&mut self) -> Vec<String> {
        keys(&self.next().unwrap())
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn keys(found: &Found) -> Vec<String> {
    let keys = found.members.iter().map(|it| it.key().to_string());
    keys.collect()
}

#[test]
fn a_list_answers_once() {
    use cluster::{Key, Member};
    let member = Member {
        key: Key::new("db1", 5432),
        weight: 7,
        zone: "a".to_owned(),
    };
    let mut asked = Asked::new(Plan::Static(vec![member.clone()]));
    let found = asked.next().unwrap();
    assert_eq!(found.members[0].member, member);
    assert_eq!(
        (found.members[0].name.as_str(), found.members[0].port),
        ("db1", 5432)
    );
    assert_eq!(found.leader, None);
    asked.hurry.notify_one();
    assert!(asked.within(Duration::from_millis(100)).is_none());
    let mut asked = Asked::new(Plan::Static(vec![]));
    let fault = asked.next().unwrap_err();
    assert!(matches!(fault, Fault::Empty { .. }), "{fault}");
}
