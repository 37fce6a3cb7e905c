//! Owns the way of a new connection to a host of a cluster: to the leader of now, or to one standby, with a look at
//! what the server says that it is.
//!
//! A leader that can't be reached is suspected, and whoever wanted to go there waits for the next one: nothing was
//! sent yet. Nor does anybody wait for a host of which it is known meanwhile that it is not to be used: it may hang, or
//! the network hide it.

use super::ask::sick;
use super::fleet::{Errand, Fleet, Reached, Seen};
use super::lead::is_over;
use crate::context::Context;
use crate::dial::{Dialled, ServerLogin, converse, dial, forget, full};
use crate::exchange::{NO_LEADER, Place};
use crate::ready::timed_out;
use crate::setup::Database;
use cluster::{Key, Why};
use session::fault::{Fault, FaultKind, Side};
use session::lookup::Lookup;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How soon a host is tried again that could not be reached.
const AGAIN: Duration = Duration::from_millis(100);

/// For what a connection was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Via {
    /// The cluster.
    pub(crate) cluster: Arc<str>,
    /// The host.
    pub(crate) key: Key,
    /// For those who want the leader.
    pub(crate) leads: bool,
}

impl Via {
    fn of(fleet: &Fleet, key: &Key, leads: bool) -> Via {
        Via {
            cluster: fleet.name.as_str().into(),
            key: key.clone(),
            leads,
        }
    }
}

/// A connection to the leader, and the generation of the pool that it belongs to.
pub(crate) async fn to_leader<C>(
    context: &Context,
    fleet: &Fleet,
    place: &Place<C>,
    (database, login): (&Database, &ServerLogin<'_>),
    patience: Duration,
) -> Result<(Dialled, u64), Fault> {
    let mut changes = fleet.changes();
    let reached = async {
        loop {
            // Pools are led after the view is shown: who sees this generation sees its leader, or a later one.
            let generation = place.generation();
            let seen = Arc::clone(&changes.borrow_and_update());
            if let Some((key, reached)) = fleet.leader(&seen) {
                let via = Via::of(fleet, &key, true);
                let connecting = connect(context, (&via, &reached), (database, login));
                let connected = tokio::select! {
                    connected = connecting => connected,
                    // Who waits there goes on to the next one.
                    () = over(&mut changes, &via) => continue,
                };
                match connected {
                    Ok(dialled) if place.generation() == generation => {
                        return Ok((dialled, generation));
                    }
                    Ok(dialled) => forget(dialled.welcome),
                    Err(fault) if is_of_host(&fault) => fleet.tell(Errand::Suspect(key)),
                    Err(fault) => return Err(fault),
                }
            }
            let _ = tokio::time::timeout(AGAIN, changes.changed()).await;
        }
    };
    let reached = tokio::time::timeout(patience, reached).await;
    reached.unwrap_or_else(|_| Err(no_leader()))
}

/// Ready as soon as that host must not be used any more for what it was chosen.
async fn over(changes: &mut watch::Receiver<Arc<Seen>>, via: &Via) {
    if changes.wait_for(|seen| is_over(seen, via)).await.is_err() {
        // Nobody says any more what goes: the proxy ends.
        std::future::pending::<()>().await;
    }
}

/// Does something with a connection that was made by this way for as long as its host may be used.
pub(crate) async fn while_usable<T>(
    context: &Context,
    via: Option<Via>,
    done: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let ended = async {
        let fleet = via.as_ref().map(|it| context.clusters.find(&it.cluster));
        match (fleet.flatten(), &via) {
            (Some(fleet), Some(via)) => {
                over(&mut fleet.changes(), via).await;
                not_usable(&via.key)
            }
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        done = done => done,
        fault = ended => Err(fault),
    }
}

/// A connection to this standby. One that can't be reached is suspected, and one that is down by then waited for by
/// nobody.
pub(crate) async fn to_standby(
    context: &Context,
    fleet: &Fleet,
    key: &Key,
    (database, login): (&Database, &ServerLogin<'_>),
) -> Result<Dialled, Fault> {
    let mut changes = fleet.changes();
    let seen = fleet.seen();
    let Some(reached) = seen.hosts.get(key) else {
        let cause = format!("{key} belongs to the cluster {} no more", fleet.name);
        let phase = "connecting";
        return Err(Fault::new(Side::Server, FaultKind::Io { phase, cause }));
    };
    let via = Via::of(fleet, key, false);
    let connecting = connect(context, (&via, reached), (database, login));
    let connected = tokio::select! {
        biased;
        connected = connecting => connected,
        () = over(&mut changes, &via) => return Err(not_usable(key)),
    };
    if let Err(fault) = &connected
        && is_of_host(fault)
    {
        fleet.tell(Errand::Suspect(key.clone()));
    }
    connected
}

async fn connect(
    context: &Context,
    (via, reached): (&Via, &Reached),
    (database, login): (&Database, &ServerLogin<'_>),
) -> Result<Dialled, Fault> {
    let hosts = std::slice::from_ref(&reached.host);
    let login = ServerLogin {
        user: login.user,
        credential: login.credential.clone(),
        startup: login.startup,
    };
    let dialling = dial(hosts, &database.tcp, &context.deriver, login);
    let dialled = tokio::time::timeout(database.connect_timeout, dialling).await;
    let mut dialled = dialled.unwrap_or_else(|_| Err(timed_out()))?;
    if via.leads && recovers(&mut dialled, database.connect_timeout).await? {
        forget(dialled.welcome);
        let host = via.key.to_string();
        return Err(Fault::new(Side::Server, FaultKind::Demoted { host }));
    }
    dialled.via = Some(via.clone());
    context.counters.server.dialled.add(1);
    Ok(dialled)
}

/// Whether the server replays another one's log. PostgreSQL says so from version 14 on; older ones are asked.
async fn recovers(dialled: &mut Dialled, patience: Duration) -> Result<bool, Fault> {
    if let Some(word) = dialled.server.reported.value("in_hot_standby") {
        return Ok(word == b"on");
    }
    let port = &mut dialled.port;
    let mut lookup = {
        let mut asked = None;
        let question = "SELECT pg_catalog.pg_is_in_recovery()::text";
        full(Lookup::ask(question, &[], port.room()).map(|ask| asked = Some(ask)))?;
        asked.unwrap_or_default()
    };
    let answer = converse(port, |input, _| lookup.step(input));
    let rows = tokio::time::timeout(patience, answer).await;
    let rows = rows.unwrap_or_else(|_| Err(timed_out()))?;
    let word = rows.first().and_then(|row| row.first()?.as_ref());
    // Whoever doesn't say that it is none is taken for a standby.
    Ok(word.is_none_or(|it| it.expose() != b"false"))
}

/// True if another host, or the same one later, may do.
pub(crate) fn is_of_host(fault: &Fault) -> bool {
    match &fault.kind {
        FaultKind::Demoted { .. } => true,
        FaultKind::ServerLogin { .. } => false,
        _ => !matches!(sick(fault).why, Why::Authentication | Why::Other),
    }
}

fn not_usable(key: &Key) -> Fault {
    let cause = format!("{key} is not to be used at present: see SHOW HOSTS");
    let phase = "connecting";
    Fault::new(Side::Server, FaultKind::Io { phase, cause })
}

fn no_leader() -> Fault {
    let setting = "query_wait_timeout";
    let phase = NO_LEADER;
    Fault::new(Side::Proxy, FaultKind::Timeout { setting, phase })
}
