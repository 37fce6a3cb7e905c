//! Owns what is logged of a session: one line at its start, one at its end, one for each client
//! that is refused. Names, facts and counts; never SQL, parameters, rows, passwords or keys.

use crate::dial::Dialled;
use crate::leg::Summary;
use crate::port::Port;
use crate::pump::Ending;
use auth::{Acceptance, LegFacts, Proved, ProvedBy};
use session::arrival::Newcomer;
use session::fault::{Fault, FaultKind, Side};
use std::time::Instant;
use tracing::{info, warn};

/// What the first line of a session says.
pub struct Started {
    client: String,
    user: String,
    database: String,
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
    /// The facts of a session that has just begun.
    pub fn new(
        client: &str,
        newcomer: &Newcomer,
        proved: &Proved,
        client_leg: &LegFacts,
        dialled: &Dialled,
    ) -> Started {
        Started {
            client: client.to_owned(),
            user: newcomer.user.clone(),
            database: newcomer.database.clone(),
            proof: proof(proved.by),
            client_tls: Summary(client_leg).to_string(),
            client_certificate: client_leg.peer.as_ref().map(|peer| peer.subject.clone()),
            server: dialled.host.address.to_string(),
            server_tls: Summary(&dialled.leg).to_string(),
            server_login: login(dialled.accepted.how()),
            pid: dialled.server.key.as_ref().map_or(0, |key| key.pid),
            since: Instant::now(),
        }
    }
}

/// What the last line of a session will say: all that is kept of the first one meanwhile.
pub struct Begun {
    user: String,
    database: String,
    pid: u32,
    since: Instant,
}

impl From<Started> for Begun {
    fn from(started: Started) -> Begun {
        Begun {
            user: started.user,
            database: started.database,
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
pub fn ended(peer: &str, session: &Begun, ending: &Ending, (client, server): (&Port, &Port)) {
    let reason = match ending {
        Ending::Terminated => "client said goodbye".to_owned(),
        Ending::ClientGone { truncated: false } => "client closed without Terminate".to_owned(),
        Ending::ClientGone { truncated: true } => "client vanished".to_owned(),
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
                user = session.user,
                database = session.database,
                server_pid = session.pid,
                reason,
                client_bytes_in = client.bytes_in,
                client_bytes_out = client.bytes_out,
                server_bytes_in = server.bytes_in,
                server_bytes_out = server.bytes_out,
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

/// A client that didn't get in.
pub fn refused(client: &str, claim: Option<&(String, String)>, fault: &Fault) {
    // Port scans and health checks that connect and leave are no news.
    if fault.side == Side::Client && matches!(fault.kind, FaultKind::Lost { truncated: false }) {
        tracing::debug!(target: "portcullis::session", client, reason = %fault, "client left");
        return;
    }
    let reason = fault.to_string();
    match claim {
        Some((user, database)) => warn!(
            target: "portcullis::session",
            client, user, database, reason, "client refused"
        ),
        None => warn!(target: "portcullis::session", client, reason, "client refused"),
    }
}

/// A connection that could not be made as new after its client; it is closed.
pub fn reset_failed(client: &str, fault: &Fault) {
    warn!(target: "portcullis::session", client, reason = %fault, "server connection could not be reset");
}

/// A cancel request outside TLS that the setting refuses.
pub fn plaintext_cancel_refused(client: &str) {
    warn!(
        target: "portcullis::cancel",
        client,
        "refused an unencrypted cancel request (psql up to 18 sends such on Ctrl-C); \
         plaintext_cancel = \"accept\" in [listen.tls] lets it pass"
    );
}

/// A cancel request that reached its server.
pub fn cancelled(client: &str) {
    info!(target: "portcullis::cancel", client, "cancel request carried out");
}

/// A cancel request for no session of ours.
pub fn cancel_unknown(client: &str) {
    info!(target: "portcullis::cancel", client, "cancel request for an unknown session");
}

/// A cancel request beyond the limit.
pub fn cancel_dropped(client: &str) {
    warn!(
        target: "portcullis::cancel",
        client,
        "cancel request dropped: too many, see cancel_rate and cancel_concurrency in [limits]"
    );
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
