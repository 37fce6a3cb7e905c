//! Owns the carrying out of an administrator's commands.

use super::{Desk, Wish, fleets};
use crate::cancel::{Bounds, Carried};
use crate::context::Context;
use admin::{Command, Outcome, Pauses, Refusal};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the entry for all other names goes by.
pub(super) const ALL_NAMES: &str = "*";

/// How often a command that waits looks whether it is done.
const LOOK: Duration = Duration::from_millis(20);

/// How long a resting connection's goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// Carries a command out; ends when it is done. `own` is the console's name of the client that asked.
pub(super) async fn carry(context: &Context, command: &Command, own: &str) -> Outcome {
    let done = match command {
        Command::Pause(database) => pause(context, database.as_deref(), own).await,
        Command::Resume(database) => resume(context, database.as_deref(), own),
        Command::Kill(database) => kill(context, database.as_deref(), own),
        Command::KillClient(number) => match context.console.clients.find(*number) {
            Some(client) => {
                client.kill();
                Ok(())
            }
            None => Err(Refusal::NoSuchClient),
        },
        Command::CancelClient(number) => cancel(context, *number).await,
        Command::Reconnect(database) => reconnect(context, database.as_deref(), own),
        Command::WaitClose(database) => wait_close(context, database.as_deref(), own).await,
        Command::Disable(database) => switch(context, database, ("disable", own), true),
        Command::Enable(database) => switch(context, database, ("enable", own), false),
        Command::Suspend => suspend(context).await,
        Command::ResetPatterns => {
            context.inspections.reset();
            Ok(())
        }
        Command::Drain { cluster, host } => fleets::drain(context, (cluster, host), true).await,
        Command::Undrain { cluster, host } => fleets::drain(context, (cluster, host), false).await,
        Command::Switchover { cluster, to } => {
            fleets::switchover(context, cluster, to.as_deref()).await
        }
        Command::Reload => return context.console.orders.give(Wish::Reload).await,
        Command::Shutdown(mode) => {
            let wish = Wish::Shutdown(*mode);
            return context.console.orders.give(wish).await;
        }
        Command::Set { key, value } => {
            let (key, value) = (key.clone(), value.clone());
            return context.console.orders.give(Wish::Set { key, value }).await;
        }
    };
    match done {
        Ok(()) => Outcome::Done,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// The entry of the configuration that a command is about; `None` for all.
fn entry(
    context: &Context,
    database: Option<&str>,
    (verb, own): (&'static str, &str),
) -> Result<Option<String>, Refusal> {
    let Some(name) = database else {
        return Ok(None);
    };
    if name == own {
        let database = name.to_owned();
        return Err(Refusal::OwnDatabase { verb, database });
    }
    match context.live.snapshot().database(name) {
        Some(entry) => Ok(Some(
            entry.name.clone().unwrap_or_else(|| ALL_NAMES.to_owned()),
        )),
        None => Err(Refusal::NoSuchDatabase(name.to_owned())),
    }
}

/// Has the pools lend or not, as [`Holds`](super::Holds) says.
pub(crate) fn apply(context: &Context) {
    let setup = context.live.snapshot();
    let holds = &context.console.holds;
    for database in &setup.databases {
        context.exchange.place(database, setup.timeouts.query_wait);
    }
    for (name, place) in context.exchange.places() {
        match holds.is_paused(name.as_deref().unwrap_or(ALL_NAMES)) {
            true => place.pause(),
            false => place.resume(),
        }
    }
}

async fn pause(context: &Context, database: Option<&str>, own: &str) -> Result<(), Refusal> {
    let entry = entry(context, database, ("pause", own))?;
    context.console.holds.pause(entry.as_deref())?;
    apply(context);
    close(context, database);
    // Who has a connection keeps it to the end of its lease. RESUME ends the wait, too.
    let meant = |name: &Option<String>| {
        let name = name.as_deref().unwrap_or(ALL_NAMES);
        entry.as_deref().is_none_or(|it| it == name)
    };
    let is_done = || {
        let places = context.exchange.places();
        let mut standing = places
            .iter()
            .filter(|(name, _)| meant(name))
            .map(|(_, place)| place.standing());
        standing.all(|it| !it.paused || it.lent == 0)
    };
    until(is_done).await;
    Ok(())
}

fn resume(context: &Context, database: Option<&str>, own: &str) -> Result<(), Refusal> {
    let entry = entry(context, database, ("resume", own))?;
    release(context, entry.as_deref())
}

/// Ends PAUSE, SUSPEND and KILL, of one entry of the configuration or of all.
pub(crate) fn release(context: &Context, entry: Option<&str>) -> Result<(), Refusal> {
    let desk = &context.console;
    desk.holds.resume(entry)?;
    apply(context);
    if desk.holds.pauses() != Pauses::Suspended {
        desk.workers.suspend(false);
    }
    Ok(())
}

/// Has sessions finish the messages that are under way, and then moves nothing. Who doesn't take what it
/// gets is closed after a while.
async fn suspend(context: &Context) -> Result<(), Refusal> {
    let desk = &context.console;
    desk.holds.suspend()?;
    apply(context);
    desk.workers.suspend(true);
    // RESUME ends the wait, too. One look may miss a session that was just about to sleep.
    let mut looks = 0;
    let is_done = || {
        let still = desk.workers.stands_still() || desk.holds.pauses() != Pauses::Suspended;
        looks = if still { looks + 1 } else { 0 };
        looks == 2
    };
    let patience = context.live.snapshot().timeouts.suspend;
    if tokio::time::timeout(patience, until(is_done))
        .await
        .is_err()
    {
        let closed = desk.workers.end_restless();
        tracing::warn!(
            closed,
            "SUSPEND: clients that did not take their data were closed (suspend_timeout)"
        );
    }
    Ok(())
}

fn kill(context: &Context, database: Option<&str>, own: &str) -> Result<(), Refusal> {
    let entry = entry(context, database, ("kill", own))?;
    context.console.holds.pause(entry.as_deref())?;
    apply(context);
    close(context, database);
    for client in context.console.clients.all() {
        let meant = database.is_none_or(|name| *name == *client.facts.database);
        if meant && !client.facts.is_console {
            client.kill();
        }
    }
    Ok(())
}

/// Cancels what a client executes or waits for.
async fn cancel(context: &Context, number: u64) -> Result<(), Refusal> {
    let client = context.console.clients.find(number);
    let client = client.ok_or(Refusal::NoSuchClient)?;
    let aim = client.aim().ok_or(Refusal::NothingToCancel)?;
    let setup = context.live.snapshot();
    let bounds = Bounds {
        at_once: setup.limits.cancels_max,
        per_second: setup.limits.cancels_per_second,
        deadline: setup.timeouts.cancel,
    };
    match context.cancels.order(&aim, bounds).await {
        Ok(Carried::Out) => Ok(()),
        Ok(Carried::Unknown | Carried::PassedOn(_)) => Err(Refusal::NothingToCancel),
        Ok(Carried::Dropped) => {
            let cause = "too many cancel requests are under way (cancel_concurrency)".to_owned();
            Err(Refusal::NotCancelled { cause })
        }
        Err(fault) => {
            let cause = fault.kind.to_string();
            Err(Refusal::NotCancelled { cause })
        }
    }
}

fn reconnect(context: &Context, database: Option<&str>, own: &str) -> Result<(), Refusal> {
    entry(context, database, ("reconnect", own))?;
    close(context, database);
    Ok(())
}

async fn wait_close(context: &Context, database: Option<&str>, own: &str) -> Result<(), Refusal> {
    entry(context, database, ("wait in", own))?;
    let waits = || {
        let servers = context.console.living();
        servers.iter().any(|server| {
            server.traffic.close_needed()
                && database.is_none_or(|it| *it == *server.common.database)
        })
    };
    until(|| !waits()).await;
    Ok(())
}

fn switch(
    context: &Context,
    database: &str,
    (verb, own): (&'static str, &str),
    disabled: bool,
) -> Result<(), Refusal> {
    entry(context, Some(database), (verb, own))?;
    context.console.holds.disable(database, disabled);
    Ok(())
}

/// Closes connections: those at rest now, those that are lent when they come back.
fn close(context: &Context, database: Option<&str>) {
    context.console.servers.close_when_freed(database);
    let mut closed = Vec::new();
    for (name, place) in context.exchange.places() {
        // A name that only the entry for all names has shares its pool with others.
        if database.is_none() || name.as_deref() == database {
            closed.extend(place.reconnect());
        }
    }
    let now = Instant::now();
    closed.extend(context.exchange.expire(|it| it.fate(now)));
    for over in closed {
        drop(tokio::spawn(tokio::time::timeout(GOODBYE, over.close())));
    }
}

async fn until(mut is_done: impl FnMut() -> bool) {
    let mut tick = tokio::time::interval(LOOK);
    while !is_done() {
        tick.tick().await;
    }
}

impl Desk {
    /// The connections to servers that live.
    pub(crate) fn living(&self) -> Vec<Arc<super::ServerFacts>> {
        self.servers.all(|ended| self.server_ended(ended))
    }
}
