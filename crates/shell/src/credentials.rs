//! Owns finding a user's verifier: the users file, then `auth_query`. The query runs as a role of
//! its own, over a connection that carries nothing of the client's but the name, which is bound.

use crate::dial::{Dialled, ServerLogin, converse, dial, full};
use crate::life::Life;
use crate::setup::{AuthQuery, Setup};
use auth::auth_query::{self, AuthQueryFault};
use auth::{Credential, Method, ServerUser, Stored, Verifier};
use session::fault::{Fault, FaultKind, Side};
use session::lookup::{Lookup, Row};
use wire::ProtocolVersion;
use wire::startup::StartupMessage;

/// What is stored for `user`, who wants `database`.
pub async fn stored(
    life: &Life<'_>,
    method: Method,
    user: &str,
    database: &str,
) -> Result<Stored, Fault> {
    match method {
        Method::Certificate | Method::Trust | Method::Peer => return Ok(Stored::Unknown),
        Method::ScramSha256 | Method::Md5 | Method::Password => {}
    }
    if let Some(verifier) = life.setup.auth.users.verifier(user) {
        return Ok(Stored::Known(verifier.clone()));
    }
    match (&life.setup.auth.query, method) {
        (None, Method::Password) if life.setup.is_console(database) => Ok(Stored::Unknown),
        // A login of its own, which most clients need no room for.
        (Some(query), _) => Box::pin(ask(life, query, user, database)).await,
        (None, Method::Password) => Ok(Stored::AskServer),
        (None, _) => Ok(Stored::Unknown),
    }
}

/// What the users file has to log in to a server with: for clients whose own login showed nothing
/// (certificate, peer, trust), or less than the password.
pub fn from_users_file(setup: &Setup, user: &str) -> Credential {
    match setup.auth.users.verifier(user) {
        Some(Verifier::Password(password)) => Credential::Password(password.clone()),
        Some(Verifier::Md5(hash)) => Credential::Md5Hash(hash.clone()),
        Some(Verifier::Scram(_)) | None => Credential::None,
    }
}

async fn ask(
    life: &Life<'_>,
    query: &AuthQuery,
    user: &str,
    database: &str,
) -> Result<Stored, Fault> {
    let name = match &query.database {
        Some(name) => name,
        // The console has no tables: users that the file doesn't have need auth_dbname there.
        None if life.setup.is_console(database) => return Ok(Stored::Unknown),
        None => database,
    };
    // A database that doesn't exist is no reason to tell a stranger so: the login fails later.
    let Some(entry) = life.setup.database(name) else {
        return Ok(Stored::Unknown);
    };
    let role = ServerUser::for_auth_query(&query.user);
    let startup = StartupMessage::new(
        ProtocolVersion::V3_0,
        [
            ("user", role.name()),
            ("database", entry.dbname.as_deref().unwrap_or(name)),
            ("application_name", "portcullis auth_query"),
            ("client_encoding", "UTF8"),
            ("search_path", ""),
        ]
        .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    )
    .map_err(|fault| unavailable(&fault))?;
    let login = ServerLogin {
        user: &role,
        credential: match &query.password {
            Some(password) => Credential::Password(password.clone()),
            None => Credential::None,
        },
        startup: &startup,
    };
    let hosts = life.context.clusters.hosts(&entry.servers);
    let asking = async {
        let Dialled { mut port, .. } =
            dial(&hosts, &entry.tcp, &life.context.deriver, login).await?;
        let mut lookup = {
            let mut asked = None;
            full(Lookup::ask(&query.text, &[user], port.room()).map(|ask| asked = Some(ask)))?;
            asked.unwrap_or_default()
        };
        let rows = converse(&mut port, |input, _| lookup.step(input)).await?;
        let columns = lookup.columns();
        full(port.room().push(session::farewell::TERMINATE))?;
        let _ = tokio::time::timeout(life.setup.timeouts.close, port.close()).await;
        Ok::<_, Fault>((columns, rows))
    };
    let (columns, rows) = tokio::time::timeout(entry.connect_timeout, asking)
        .await
        .map_err(|_| unavailable(&"server_connect_timeout passed"))?
        .map_err(|fault| unavailable(&fault))?;
    Ok(meaning(user, columns, &rows).unwrap_or_else(|fault| {
        life.context.counters.admission.look_ups_unusable.add(1);
        Stored::Unusable(fault)
    }))
}

/// What an answer of `auth_query` says of the user.
fn meaning(user: &str, columns: Option<usize>, rows: &[Row]) -> Result<Stored, AuthQueryFault> {
    let mut found = auth_query::Lookup::new(user);
    if let Some(columns) = columns {
        found = found.on_columns(columns)?;
    }
    for row in rows {
        let columns: Vec<_> = row.iter().map(|v| v.as_ref().map(|v| v.expose())).collect();
        found = found.on_row(&columns)?;
    }
    Ok(found.finish())
}

fn unavailable(why: &dyn std::fmt::Display) -> Fault {
    Fault::new(
        Side::Proxy,
        FaultKind::Unavailable {
            what: format!("auth_query failed: {why}"),
        },
    )
}
