//! Owns who looks at what the views of governed databases depend on, and when: one task for each database that clients
//! use, on a thread of its own. It looks when the first client comes, again and again after an interval, when a
//! definition that passed through here may have changed something, and on a reload.
//!
//! Takes the setup; gives what sessions share of a database, [`policy::views::Views`]. What rules make of it is told
//! there.

mod look;

use crate::aside::Aside;
use crate::context::Context;
use crate::happenings;
use crate::setup::{Setup, ViewRules};
use events::{Event, Kind, Phase};
use look::{Looker, login};
use policy::views::Views;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

/// Between two looks, unless somebody waits.
const PAUSE: Duration = Duration::from_secs(1);

/// A database whose views are known, or are to be.
pub(crate) struct Catalog {
    /// Its name, as clients ask for it.
    pub(crate) database: String,
    /// What is known.
    pub(crate) views: Arc<Views>,
    /// A client came since this was last asked.
    is_used: AtomicBool,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Catalogs(Mutex<Held>);

#[derive(Default)]
struct Held {
    catalogs: HashMap<String, Arc<Catalog>>,
    /// Where new ones go; `None`: nobody looks.
    looker: Option<mpsc::UnboundedSender<Arc<Catalog>>>,
}

impl Catalogs {
    /// What sessions of a database share; `None` if rules see no views there.
    pub(crate) fn views(&self, setup: &Setup, database: &str) -> Option<Arc<Views>> {
        let rules = setup.policy.as_ref()?.views.as_ref()?;
        login(setup, rules, setup.database(database)?)?;
        let mut held = self.lock();
        if let Some(catalog) = held.catalogs.get(database) {
            catalog.is_used.store(true, Ordering::Relaxed);
            return Some(Arc::clone(&catalog.views));
        }
        let catalog = Arc::new(Catalog {
            database: database.to_owned(),
            views: Arc::new(Views::new(rules.is_required)),
            is_used: AtomicBool::new(true),
        });
        let views = Arc::clone(&catalog.views);
        held.looker.as_ref()?.send(Arc::clone(&catalog)).ok()?;
        held.catalogs.insert(database.to_owned(), catalog);
        Some(views)
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Catalog>> {
        let mut all: Vec<_> = self.lock().catalogs.values().map(Arc::clone).collect();
        all.sort_by(|one, other| one.database.cmp(&other.database));
        all
    }

    /// Forgets one that no session has any more; false if one has.
    fn forget(&self, catalog: &Arc<Catalog>) -> bool {
        let mut held = self.lock();
        let is_used = catalog.is_used.swap(false, Ordering::Relaxed);
        let is_free = !is_used && Arc::strong_count(&catalog.views) == 1;
        if is_free {
            held.catalogs.remove(&catalog.database);
        }
        is_free
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread on which catalogs are looked at; none before rules see views.
#[derive(Default)]
pub(crate) struct Looking(Mutex<Option<Aside>>);

impl Looking {
    /// Looks by this setup from now on, and at once.
    pub(crate) fn follow(&self, context: &Arc<Context>, setup: &Setup) -> std::io::Result<()> {
        let is_asked = setup.policy.as_ref().is_some_and(|it| it.views.is_some());
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_asked && thread.is_none() {
            let aside = Aside::begin("views")?;
            let (looker, mut new) = mpsc::unbounded_channel();
            let of_all = Arc::clone(context);
            aside.spawn(async move {
                while let Some(catalog) = new.recv().await {
                    tokio::spawn(keep(Arc::clone(&of_all), catalog));
                }
            });
            context.catalogs.lock().looker = Some(looker);
            *thread = Some(aside);
        }
        for catalog in context.catalogs.all() {
            catalog.views.want();
        }
        Ok(())
    }

    /// Ends it. Blocks for a moment.
    pub(crate) fn stop(&self) {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            thread.end();
        }
    }
}

/// Looks at one database's catalogs for as long as sessions need it.
async fn keep(context: Arc<Context>, catalog: Arc<Catalog>) {
    let mut failures = 0_u32;
    loop {
        let setup = context.live.snapshot();
        let rules = setup.policy.as_ref().and_then(|it| it.views.clone());
        match &rules {
            Some(rules) => catalog.views.require(rules.is_required),
            None if catalog.views.give_up() => tell(&context, &catalog, Phase::Ended, ""),
            None => {}
        }
        let is_wanted = context.rules.rules().0.is_some_and(|it| it.wants_views());
        if let Some(rules) = rules.as_ref().filter(|_| is_wanted) {
            let looker = Looker {
                context: &context,
                setup: &setup,
                rules,
            };
            failures = match look(&looker, &catalog).await {
                true => 0,
                false => failures.saturating_add(1),
            };
        }
        drop(setup);
        let began = Instant::now();
        // Statements that wait have no time for long pauses.
        let interval = match failures > 0 && catalog.views.is_awaited() {
            true => PAUSE,
            false => pause(failures, rules.as_ref()),
        };
        let is_due = timeout(interval, wanted(&catalog.views)).await.is_err();
        if is_due && context.catalogs.forget(&catalog) {
            if failures > 0 {
                tell(&context, &catalog, Phase::Ended, "");
            }
            return;
        }
        if failures > 0 {
            sleep_until(began + PAUSE).await;
        } else if !is_due && !catalog.views.is_awaited() {
            // Definitions come in numbers.
            let _ = timeout(PAUSE, awaited(&catalog.views)).await;
        }
    }
}

/// How long until the next look, unless somebody wants one before: after failures longer and longer.
fn pause(failures: u32, rules: Option<&ViewRules>) -> Duration {
    const DAY: Duration = Duration::from_secs(86_400);
    let interval = rules.map_or(DAY, |it| it.interval);
    match failures.checked_sub(1) {
        None => interval,
        Some(more) => (PAUSE * 2u32.pow(more.min(10))).min(interval),
    }
}

async fn wanted(views: &Views) {
    poll_fn(|cx| match views.poll_wanted(cx.waker()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// Until statements may wait for a look.
async fn awaited(views: &Views) {
    const EVERY: Duration = Duration::from_millis(50);
    while !views.is_awaited() {
        sleep(EVERY).await;
    }
}

/// One look; true if it succeeded.
async fn look(looker: &Looker<'_>, catalog: &Catalog) -> bool {
    let counters = &looker.context.counters.views;
    let number = catalog.views.begin();
    let at_s = crate::pump::unix_now_s();
    counters.looks.add(1);
    let found = looker.look(&catalog.database).await;
    let database = &catalog.database;
    let before = catalog.views.seen().trouble;
    match &found {
        Err(trouble) => {
            counters.failures.add(1);
            if before.is_empty() {
                tell(looker.context, catalog, Phase::Began, trouble);
            }
            if before != *trouble {
                warn!(target: "portcullis::rules", database, "cannot read what views depend on: {trouble}");
            }
        }
        Ok(_) if !before.is_empty() => {
            tell(looker.context, catalog, Phase::Ended, "");
            info!(target: "portcullis::rules", database, "what views depend on can be read again");
        }
        Ok(_) => {}
    }
    let succeeded = found.is_ok();
    catalog.views.looked(number, found, at_s);
    succeeded
}

/// The event of a look that failed, or of what comes after.
fn tell(context: &Context, catalog: &Catalog, phase: Phase, why: &str) {
    let subject = format!("database {}", catalog.database);
    let event = Event::new(happenings::now_ms(), Kind::Views, phase, &subject);
    context.events.post(match why.is_empty() {
        true => event,
        false => event.with("why", why),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_failures_to_the_interval() {
        let rules = |secs| ViewRules {
            is_required: false,
            user: None,
            interval: Duration::from_secs(secs),
        };
        for (failures, interval, wanted) in [
            (0, 60, 60),
            (1, 60, 1),
            (3, 60, 4),
            (7, 60, 60),
            (u32::MAX, 3600, 1024),
            (5, 1, 1),
        ] {
            let pause = pause(failures, Some(&rules(interval)));
            assert_eq!(pause, Duration::from_secs(wanted), "{failures} {interval}");
        }
    }
}
