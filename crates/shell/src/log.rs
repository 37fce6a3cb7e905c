//! Owns what is logged of a session: one line at its start, one at its end. Names, facts and
//! counts; never SQL, parameters, rows, passwords or keys.

use crate::cancel::Carried;
use crate::client::Ending;
use crate::console;
use crate::leg::Summary;
use crate::life::Course;
use crate::port::Port;
use crate::rest::ServerSide;
use crate::welcomes::ServerFacts;
use admin::{Command, Right};
use auth::{Acceptance, LegFacts, Proved, ProvedBy};
use session::arrival::Newcomer;
use session::fault::{Fault, FaultKind};
use std::time::Instant;
use tracing::{info, warn};

/// What the first line of a session says.
pub struct Started {
    client: String,
    user: String,
    database: String,
    route: Option<String>,
    led_to: Option<String>,
    proof: &'static str,
    client_tls: String,
    client_certificate: Option<String>,
    server: String,
    server_tls: String,
    server_login: &'static str,
    pid: u32,
    since: Instant,
}

impl Started {
    /// The facts of a session that has just begun: the client's, its proof and leg, and the server's with
    /// its process id; 0 if the client shares server connections.
    pub fn new(
        (client, newcomer, course): (&str, &Newcomer, &Course),
        (proved, client_leg): (&Proved, &LegFacts),
        (server, pid): (ServerFacts, u32),
    ) -> Started {
        Started {
            client: client.to_owned(),
            user: newcomer.user.clone(),
            database: newcomer.database.clone(),
            route: course.route.clone(),
            led_to: (course.database != newcomer.database).then(|| course.database.clone()),
            proof: proof(proved.by),
            client_tls: Summary(client_leg).to_string(),
            client_certificate: client_leg.peer.as_ref().map(|peer| peer.subject.clone()),
            server: server.address,
            server_tls: server.tls,
            server_login: server.login,
            pid,
            since: Instant::now(),
        }
    }
}

/// What is logged of a server connection.
pub fn facts(server: &ServerSide) -> ServerFacts {
    ServerFacts {
        address: server.host.address.to_string(),
        tls: server.leg.1.to_string(),
        login: login(server.accepted.how()),
    }
}

/// What the last line of a session will say besides who the client is: all that is kept of the first one meanwhile.
pub struct Begun {
    pid: u32,
    since: Instant,
}

impl From<Started> for Begun {
    fn from(started: Started) -> Begun {
        Begun {
            pid: started.pid,
            since: started.since,
        }
    }
}

/// The first line of a session.
pub fn started(session: &Started) {
    info!(
        target: "portcullis::session",
        client = session.client,
        user = session.user,
        database = session.database,
        route = session.route,
        led_to = session.led_to,
        proof = session.proof,
        client_tls = session.client_tls,
        client_certificate = session.client_certificate,
        server = session.server,
        server_tls = session.server_tls,
        server_login = session.server_login,
        server_pid = session.pid,
        "session started"
    );
}

/// The last line of a session.
pub fn ended(
    (peer, shown): (&str, &console::Client),
    session: &Begun,
    ending: &Ending,
    (client, server): (&Port, Option<&Port>),
) {
    let reason = match ending {
        Ending::Terminated => "client said goodbye".to_owned(),
        Ending::ClientGone { truncated: false } => "client closed without Terminate".to_owned(),
        Ending::ClientGone { truncated: true } => "client vanished".to_owned(),
        Ending::Parted => "client has no server".to_owned(),
        Ending::ServerEnded => "server ended the session".to_owned(),
        Ending::Fault(fault) => fault.to_string(),
    };
    let fault =
        matches!(ending, Ending::Fault(Fault { kind, .. }) if *kind != FaultKind::ShuttingDown);
    macro_rules! line {
        ($level:ident) => {
            $level!(
                target: "portcullis::session",
                client = peer,
                user = &*shown.facts.user,
                database = &*shown.facts.asked_for,
                server_pid = session.pid,
                reason,
                client_bytes_in = client.bytes_in,
                client_bytes_out = client.bytes_out,
                server_bytes_in = server.map(|it| it.bytes_in),
                server_bytes_out = server.map(|it| it.bytes_out),
                duration_ms = session.since.elapsed().as_millis() as u64,
                "session ended"
            )
        };
    }
    match fault {
        true => line!(warn),
        false => line!(info),
    }
}

/// A client of the console that is in.
pub fn console_opened(client: &str, user: &str, right: Right) {
    let right = match right {
        Right::Admin => "admin",
        Right::Stats => "stats",
    };
    info!(target: "portcullis::console", client, user, right, "console opened");
}

/// Its end.
pub fn console_closed(client: &str, user: &str, fault: Option<&Fault>) {
    let reason = fault.map_or("client said goodbye".to_owned(), Fault::to_string);
    info!(target: "portcullis::console", client, user, reason, "console closed");
}

/// What an administrator ordered. A value may be a secret one day: only SET's key is shown.
pub fn ordered(user: &str, command: &Command) {
    let about = match command {
        Command::Pause(name)
        | Command::Resume(name)
        | Command::Kill(name)
        | Command::Reconnect(name)
        | Command::WaitClose(name) => name.clone(),
        Command::Disable(name) | Command::Enable(name) => Some(name.clone()),
        Command::KillClient(number) | Command::CancelClient(number) => Some(number.to_string()),
        Command::Set { key, .. } => Some(key.clone()),
        Command::Shutdown(mode) => Some(format!("{mode:?}")),
        Command::Drain { cluster, host } | Command::Undrain { cluster, host } => {
            Some(format!("{cluster} {host}"))
        }
        Command::Switchover { cluster, to } => Some(match to {
            Some(host) => format!("{cluster} to {host}"),
            None => cluster.clone(),
        }),
        Command::Suspend | Command::Reload => None,
        Command::ResetPatterns => Some("patterns".to_owned()),
    };
    let command = command.name();
    let about = about.unwrap_or_default();
    info!(target: "portcullis::console", user, command, about, "command issued");
}

/// A connection that could not be made as new after its client; it is closed.
pub fn reset_failed(client: &str, fault: &Fault) {
    warn!(target: "portcullis::session", client, reason = %fault, "server connection could not be reset");
}

/// A server connection that could not be made ahead of need.
pub fn not_prepared(database: &str, role: &str, fault: &Fault) {
    warn!(target: "portcullis::session", database, role, reason = %fault, "no server connection could be made ahead of need (min_pool_size)");
}

/// A cancel request that reached its server.
pub fn cancelled(client: &str) {
    info!(target: "portcullis::cancel", client, "cancel request carried out");
}

/// A cancel request that the process that has taken over passed back.
pub fn cancelled_for_heir(carried: &Result<Carried, Fault>) {
    match carried {
        Ok(Carried::Out) => {
            info!(target: "portcullis::cancel", "cancel request passed back and carried out");
        }
        Ok(_) => {}
        Err(fault) => {
            warn!(target: "portcullis::cancel", reason = %fault, "cancel request passed back, and failed");
        }
    }
}

/// A cancel request that didn't reach its server.
pub fn cancel_failed(client: &str, fault: &Fault) {
    warn!(target: "portcullis::cancel", client, reason = %fault, "cancel request failed");
}

fn proof(by: ProvedBy) -> &'static str {
    match by {
        ProvedBy::ScramSha256 => "scram-sha-256",
        ProvedBy::ScramSha256Plus => "scram-sha-256-plus",
        ProvedBy::Md5 => "md5",
        ProvedBy::Password => "password",
        ProvedBy::Server => "password (checked by the server)",
        ProvedBy::Certificate => "certificate",
        ProvedBy::Peer => "peer",
        ProvedBy::Trust => "trust",
    }
}

fn login(how: Acceptance) -> &'static str {
    match how {
        Acceptance::Unasked => "nothing asked (trust or certificate)",
        Acceptance::ClearPassword => "password",
        Acceptance::Md5 => "md5",
        Acceptance::ScramSha256 => "scram-sha-256",
        Acceptance::ScramSha256Plus => "scram-sha-256-plus",
    }
}

/// A client that waited for a server connection and got none.
pub fn waited(client: &str, waited: std::time::Duration) {
    let waited_ms = waited.as_millis() as u64;
    info!(target: "portcullis::session", client, waited_ms, "no server connection was to be had");
}
