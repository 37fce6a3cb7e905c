//! Owns the carrying out of an administrator's commands.

use super::{Desk, Doing, Wish};
use crate::context::Context;
use admin::{Command, Outcome, Refusal};
use std::time::Duration;

/// How often a command that waits looks whether it is done.
const LOOK: Duration = Duration::from_millis(20);

/// How long a resting connection's goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// Carries a command out; ends when it is done. `own` is the console's name of the client that asked.
pub(super) async fn carry(context: &Context, command: &Command, own: &str) -> Outcome {
    let done = match command {
        Command::Pause(database) => pause(context, database.as_deref(), own).await,
        Command::Resume(database) => context.console.holds.resume(database.as_deref()),
        Command::Kill(database) => kill(context, database.as_deref(), own),
        Command::KillClient(number) => match context.console.clients.find(*number) {
            Some(client) => {
                client.kill();
                Ok(())
            }
            None => Err(Refusal::NoSuchClient),
        },
        Command::Reconnect(database) => reconnect(context, database.as_deref(), own),
        Command::WaitClose(database) => wait_close(context, database.as_deref(), own).await,
        Command::Disable(database) => switch(context, database, ("disable", own), true),
        Command::Enable(database) => switch(context, database, ("enable", own), false),
        Command::Suspend => {
            let text = "SUSPEND is not supported: there is no takeover that it would prepare; \
                PAUSE holds work up";
            Err(Refusal::NotSupported(text.to_owned()))
        }
        Command::Reload => return context.console.orders.give(Wish::Reload).await,
        Command::Shutdown(mode) => {
            let wish = Wish::Shutdown(*mode);
            return context.console.orders.give(wish).await;
        }
        Command::Set { .. } => Err(Refusal::NotSet {
            hint: "Change it in the configuration file, then RELOAD.".to_owned(),
        }),
    };
    match done {
        Ok(()) => Outcome::Done,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// Whether a command may be about this database.
fn known(
    context: &Context,
    database: Option<&str>,
    (verb, own): (&'static str, &str),
) -> Result<(), Refusal> {
    let Some(name) = database else { return Ok(()) };
    if name == own {
        let database = name.to_owned();
        return Err(Refusal::OwnDatabase { verb, database });
    }
    match context.live.snapshot().database(name) {
        Some(_) => Ok(()),
        None => Err(Refusal::NoSuchDatabase(name.to_owned())),
    }
}

async fn pause(context: &Context, database: Option<&str>, own: &str) -> Result<(), Refusal> {
    known(context, database, ("pause", own))?;
    context.console.holds.pause(database)?;
    close(context, database);
    // Whoever has a connection keeps it to the end of its lease; a RESUME meanwhile ends the wait, too.
    until(|| !context.console.is_busy(database) || !is_held(context, database)).await;
    Ok(())
}

fn is_held(context: &Context, database: Option<&str>) -> bool {
    let holds = &context.console.holds;
    match database {
        Some(name) => holds.is_paused(name),
        None => holds.pauses() != admin::Pauses::Active,
    }
}

fn kill(context: &Context, database: Option<&str>, own: &str) -> Result<(), Refusal> {
    known(context, database, ("kill", own))?;
    context.console.holds.pause(database)?;
    close(context, database);
    for client in context.console.clients.all() {
        let meant = database.is_none_or(|name| name == client.facts.database);
        if meant && !client.facts.is_console {
            client.kill();
        }
    }
    Ok(())
}

fn reconnect(context: &Context, database: Option<&str>, own: &str) -> Result<(), Refusal> {
    known(context, database, ("reconnect", own))?;
    close(context, database);
    Ok(())
}

async fn wait_close(context: &Context, database: Option<&str>, own: &str) -> Result<(), Refusal> {
    known(context, database, ("wait in", own))?;
    let waits = || {
        let servers = context.console.living();
        servers.iter().any(|server| {
            server.traffic.close_needed() && database.is_none_or(|it| it == server.database)
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
    known(context, Some(database), (verb, own))?;
    context.console.holds.disable(database, disabled);
    Ok(())
}

/// Closes connections: those at rest now, those that are lent when they come back.
fn close(context: &Context, database: Option<&str>) {
    context.console.servers.close_when_freed(database);
    for over in context.exchange.expire(|it| it.is_gone()) {
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
    pub(super) fn living(&self) -> Vec<super::ServerFacts> {
        self.servers.all(|ended| self.server_ended(ended))
    }

    /// Whether a database, or any, has connections to servers, or clients that get one.
    fn is_busy(&self, database: Option<&str>) -> bool {
        let meant = |name: &str| database.is_none_or(|it| it == name);
        let linked = |client: &super::Client| {
            matches!(client.doing(), Doing::Linking | Doing::Active) && !client.facts.is_console
        };
        self.living().iter().any(|server| meant(&server.database))
            || self
                .clients
                .all()
                .iter()
                .any(|client| linked(client) && meant(&client.facts.database))
    }
}
