//! Owns the copying of statements to other databases (`mirror`): which requests are copied, the copies that wait, the
//! connections that they go over, and what came of them.
//!
//! A client's session looks at its request, keeps a copy, and puts it into a bounded queue once the answer is complete
//! ([`client`]). All else happens on a thread of its own: connections are made, copies sent, answers counted and
//! thrown away ([`send`]). What goes on there can slow no worker, and reaches no client.

mod client;
mod connect;
mod glass;
mod queue;
mod send;
mod told;

pub(crate) use client::Mirrored;
pub(crate) use glass::Mirror;

use crate::aside::Aside;
use crate::chance;
use crate::context::Context;
use crate::life::Life;
use crate::ready::Way;
use crate::setup::Setup;
use patterns::Recogniser;
use send::Sender;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often lines that were left out are written.
const WRITES_EVERY: Duration = Duration::from_secs(1);

/// All mirrors, by the database whose statements are copied.
#[derive(Default)]
pub(crate) struct Mirrors {
    all: Mutex<HashMap<String, Arc<Mirror>>>,
    /// How often they became others: 0 where there never was one.
    version: AtomicU64,
}

impl Mirrors {
    /// Another number after they became others.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// That of a database.
    pub(crate) fn find(&self, database: &str) -> Option<Arc<Mirror>> {
        self.lock().get(database).map(Arc::clone)
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Mirror>> {
        let mut all: Vec<_> = self.lock().values().map(Arc::clone).collect();
        all.sort_by(|one, other| one.of.cmp(&other.of));
        all
    }

    /// The one for these two, which may be new; what was counted goes on.
    fn between(&self, of: &str, to: &str) -> Arc<Mirror> {
        let mut mirrors = self.lock();
        match mirrors.get(of) {
            Some(mirror) if mirror.to == to => Arc::clone(mirror),
            _ => {
                let mirror = Arc::new(Mirror::new(of, to));
                if let Some(before) = mirrors.insert(of.to_owned(), Arc::clone(&mirror)) {
                    before.end();
                }
                mirror
            }
        }
    }

    /// Ends those of databases that have none any more.
    fn retain(&self, stays: impl Fn(&str) -> bool) {
        self.lock().retain(|of, mirror| {
            let stays = stays(of);
            if !stays {
                mirror.end();
            }
            stays
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Mirror>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread on which copies are sent; none before there is a mirror.
#[derive(Default)]
pub(crate) struct Mirroring(Mutex<Option<Thread>>);

struct Thread {
    aside: Aside,
    /// Whose end is that of all that sends by the setup in force.
    sending: Option<watch::Sender<()>>,
}

impl Mirroring {
    /// Copies by this setup from now on. Connections are made anew.
    pub(crate) fn follow(&self, context: &Arc<Context>, setup: &Arc<Setup>) -> std::io::Result<()> {
        let mirrored = || {
            let databases = setup.databases.iter();
            databases.filter_map(|it| Some((it.name.as_deref()?, it.mirror.as_ref()?)))
        };
        context
            .mirrors
            .retain(|of| mirrored().any(|(name, _)| name == of));
        let mut thread = self.lock();
        if let Some(thread) = &mut *thread {
            thread.sending = None;
        }
        if mirrored().next().is_none() {
            return Ok(());
        }
        let thread = match &mut *thread {
            Some(thread) => thread,
            none => none.insert(Thread {
                aside: Aside::begin("mirrors")?,
                sending: None,
            }),
        };
        let (sending, stop) = watch::channel(());
        thread.sending = Some(sending);
        let recogniser = Recogniser::new(context.patterns_key());
        for (of, rules) in mirrored() {
            let mirror = context.mirrors.between(of, &rules.to);
            mirror.set(rules);
            for _ in 0..rules.connections {
                let sender = Sender {
                    context: Arc::clone(context),
                    setup: Arc::clone(setup),
                    rules: rules.clone(),
                    mirror: Arc::clone(&mirror),
                    recogniser: recogniser.clone(),
                };
                thread.aside.spawn(sender.run(stop.clone()));
            }
            let told = write_due(Arc::clone(context), mirror, stop.clone());
            thread.aside.spawn(told);
        }
        // Sessions look at this, and then for theirs.
        context.mirrors.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Copies nothing any more, and closes all connections.
    pub(crate) fn end(&self, context: &Context) {
        for mirror in context.mirrors.all() {
            mirror.end();
        }
        if let Some(thread) = &mut *self.lock() {
            thread.sending = None;
        }
    }

    /// Ends the thread, too. Blocks for a moment.
    pub(crate) fn stop(&self) {
        let thread = self.lock().take();
        if let Some(thread) = thread {
            thread.aside.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Thread>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the lines that were left out, until the end.
async fn write_due(context: Arc<Context>, mirror: Arc<Mirror>, mut stop: watch::Receiver<()>) {
    let mut due = tokio::time::interval(WRITES_EVERY);
    let mut is_over = false;
    while !is_over {
        tokio::select! {
            biased;
            _ = stop.changed() => is_over = true,
            _ = due.tick() => {}
        }
        mirror.told.write_due(&mirror, context.born.elapsed());
    }
}

impl Life<'_> {
    /// What is copied of a client that gets its connections this way; `None` if nothing is. What only a login can set (a
    /// role) can't be carried.
    pub(crate) fn mirrored(&self, way: &Way) -> Option<Box<Mirrored>> {
        const USER_AND_DATABASE: usize = 2;
        let mirror = self.context.mirrors.find(&way.database)?;
        if way.startup.parameters().count() > USER_AND_DATABASE {
            return None;
        }
        // Without chance of its own a client's choices begin where another's do.
        let seed = chance::bytes().map_or(self.number, u64::from_le_bytes);
        Some(Box::new(Mirrored::new(mirror, seed)))
    }
}
