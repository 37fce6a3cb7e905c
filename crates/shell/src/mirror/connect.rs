//! Owns the making of a connection to a mirror: by the same steps, with the same verification, as those of clients, but
//! beside the pools. Its startup packet says that transactions only read, and bounds what goes on there when nobody
//! waits any more.

use crate::clusters::{self, Pick};
use crate::console::Whose;
use crate::context::Context;
use crate::dial::{Dialled, ServerLogin, dial, forget};
use crate::ready::timed_out;
use crate::rest::ServerSide;
use crate::setup::{Database, Login, Mirrored, Servers};
use auth::Credential;
use pool::Home;
use session::fault::{Fault, FaultKind, Side};
use std::time::Duration;
use wire::ProtocolVersion;
use wire::startup::StartupMessage;

/// What the server's administrators see.
const NAME: &str = "portcullis mirror";

/// How much longer than anybody waits a copy may go on at the mirror.
const GRACE: Duration = Duration::from_secs(1);

/// A connection for copies by these rules to this database.
pub(super) async fn connect(
    context: &Context,
    rules: &Mirrored,
    database: &Database,
) -> Result<Box<ServerSide>, Fault> {
    let Login::Forced { user, password } = &database.login else {
        let what = "the mirror has no role to send copies as".to_owned();
        return Err(Fault::new(Side::Proxy, FaultKind::Unavailable { what }));
    };
    let startup = startup(rules, user.name(), database)?;
    let credential = match password {
        Some(password) => Credential::Password(password.clone()),
        None => Credential::None,
    };
    let login = ServerLogin {
        user,
        credential,
        startup: &startup,
    };
    let dialled = reach(context, database, login).await?;
    // No worker has it.
    let (side, welcome) = ServerSide::new(dialled, &database.tcp, Home(u16::MAX));
    forget(welcome);
    let whose = Whose {
        role: user.name(),
        database: &rules.to,
        replication: "none",
    };
    context.console.register_server(whose, &side);
    Ok(side)
}

fn startup(rules: &Mirrored, user: &str, database: &Database) -> Result<StartupMessage, Fault> {
    let timeout = (rules.timeout + GRACE).as_millis().to_string();
    let parameters = [
        ("user", user),
        ("database", database.dbname.as_deref().unwrap_or(&rules.to)),
        ("application_name", NAME),
        ("default_transaction_read_only", "on"),
        ("statement_timeout", &timeout),
    ];
    let parameters = parameters.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    StartupMessage::new(ProtocolVersion::V3_0, parameters).map_err(|_| {
        let what = "the names of the mirror's user and database are too long".to_owned();
        Fault::new(Side::Proxy, FaultKind::Unavailable { what })
    })
}

async fn reach(
    context: &Context,
    database: &Database,
    login: ServerLogin<'_>,
) -> Result<Dialled, Fault> {
    let followed = match &database.servers {
        Servers::Listed(hosts) => {
            let dialling = dial(hosts, &database.tcp, &context.deriver, login);
            let dialled = tokio::time::timeout(database.connect_timeout, dialling).await;
            let dialled = dialled.unwrap_or_else(|_| Err(timed_out()))?;
            context.counters.server.dialled.add(1);
            return Ok(dialled);
        }
        Servers::Of(followed) => followed,
    };
    let Some(fleet) = context.clusters.find(&followed.cluster) else {
        return Err(timed_out());
    };
    let whose = (database, &login);
    match fleet.pick(&fleet.seen(), followed.wish, None) {
        Pick::Leader => {
            let patience = database.connect_timeout;
            let place = context.exchange.place(database, patience);
            let reached = clusters::to_leader(context, &fleet, &place, whose, patience).await;
            reached.map(|(dialled, _)| dialled)
        }
        Pick::Standby(key) => clusters::to_standby(context, &fleet, &key, whose).await,
        Pick::Nobody => {
            let what = format!("no host of the cluster {} can be read from", fleet.name);
            Err(Fault::new(Side::Server, FaultKind::Unavailable { what }))
        }
    }
}
