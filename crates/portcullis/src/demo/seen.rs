//! Owns what was seen of the demo's session from three sides (the client's handshake, the proxy's
//! own engine, the server's pg_stat_ssl), how it is shown, and whether it agrees. Pure.

use super::DemoFault;
use super::postgres::Postgres;
use super::scene::{HOST, Scene};
use crate::leg;
use crate::output::say;
use crate::witness::Testimony;
use auth::Acceptance;
use session::lookup::Row;
use shell::probe::{Session, Unencrypted};
use tls::LegFacts;
use wire::ProtocolVersion;

/// The session, from all sides.
pub(crate) struct Seen<'a> {
    /// The client's end.
    pub(crate) client: Session,
    /// The server's end.
    pub(crate) server: ServerView,
    /// The proxy between them.
    pub(crate) proxy: Testimony,
    /// The same server without the proxy, by the same engine and settings.
    pub(crate) direct: &'a Session,
    /// What a client without TLS got.
    pub(crate) unencrypted: Unencrypted,
}

/// The row of pg_stat_ssl.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerView {
    ssl: String,
    version: String,
    cipher: String,
    pid: String,
}

impl ServerView {
    /// Reads the one row.
    pub(crate) fn read(rows: &[Row]) -> Option<ServerView> {
        let row = rows.first()?;
        let text = |at: usize| {
            let value = row.get(at).and_then(Option::as_ref);
            value.map_or_else(String::new, |it| {
                String::from_utf8_lossy(it.expose()).into()
            })
        };
        Some(ServerView {
            ssl: text(0),
            version: text(1),
            cipher: text(2),
            pid: text(3),
        })
    }
}

impl Seen<'_> {
    /// The table of both legs.
    pub(crate) fn print(&self, psql: Option<&str>) {
        let client = self.client.leg.tls.as_ref();
        let group = |line: &str| line.split(' ').nth(2).unwrap_or("unknown").to_owned();
        let subject = |session: &Session| {
            let certificate = session.leg.certificate();
            certificate.map_or_else(|| "nobody".to_owned(), |it| it.subject.clone())
        };
        let fact = |of: fn(&LegFacts) -> String| client.map_or_else(|| "none".to_owned(), of);
        let verified = format!("verify-full, {HOST}");
        let rows = [
            ("", "client leg".into(), "server leg".into()),
            (
                "from, to",
                "client to Portcullis".into(),
                "Portcullis to PostgreSQL".into(),
            ),
            (
                "TLS version",
                fact(|it| it.version.clone()),
                self.server.version.clone(),
            ),
            (
                "cipher",
                fact(|it| it.cipher.clone()),
                self.server.cipher.clone(),
            ),
            (
                "key exchange",
                fact(|it| it.group.clone().unwrap_or_default()),
                group(&self.proxy.server_tls),
            ),
            ("peer", subject(&self.client), subject(self.direct)),
            ("verified by", verified.clone(), verified),
            (
                "login",
                scram(self.client.accepted),
                self.proxy.server_login.to_uppercase(),
            ),
            (
                "channel binding",
                binding(self.client.accepted).to_owned(),
                binding(self.direct.accepted).to_owned(),
            ),
            (
                "protocol",
                self.client.version.to_string(),
                self.direct.version.to_string(),
            ),
            (
                "as reported by",
                "the client's handshake".into(),
                format!("pg_stat_ssl of backend {}", self.server.pid),
            ),
        ];
        say("");
        for (label, client, server) in rows {
            say(&leg::line(label, &format!("{client:<26} {server}")));
        }
        say("");
        say(&leg::line("without TLS", &self.without_tls()));
        let psql = psql.unwrap_or("not found, so not tried");
        say(&leg::line("psql", psql));
    }

    fn without_tls(&self) -> String {
        match &self.unencrypted {
            Unencrypted::Refused { sqlstate, message } => {
                format!("refused ({sqlstate}): {message}")
            }
            Unencrypted::Admitted => "ADMITTED".to_owned(),
        }
    }

    /// Whether all sides agree, and with what was asked for; the first thing that doesn't.
    pub(crate) fn judge(&self, postgres: &Postgres, scene: &Scene) -> Result<(), DemoFault> {
        let server_protocol = match postgres.major {
            18.. => ProtocolVersion::V3_2,
            _ => ProtocolVersion::V3_0,
        };
        let client = self.client.leg.tls.as_ref();
        let summary = |facts: &LegFacts| {
            let group = facts.group.as_deref().unwrap_or_default();
            format!("{} {} {group}", facts.version, facts.cipher)
        };
        let engine: Vec<&str> = self.proxy.server_tls.split(' ').take(2).collect();
        let peer = |session: &Session| session.leg.certificate().map(|it| it.sha256);
        let plus = "scram-sha-256-plus";
        let refused = matches!(&self.unencrypted, Unencrypted::Refused { sqlstate, .. } if sqlstate == "28000");
        let claims = [
            (
                "the server leg is encrypted, says pg_stat_ssl",
                self.server.ssl == "true",
            ),
            (
                "pg_stat_ssl and the proxy's TLS engine see the same version and cipher",
                engine == [self.server.version.as_str(), self.server.cipher.as_str()],
            ),
            (
                "the proxy's log and pg_stat_ssl mean the same backend",
                self.proxy.server_pid == self.server.pid,
            ),
            (
                "the client's TLS engine and the proxy's see the same version, cipher and group",
                client.map(summary).as_deref() == Some(self.proxy.client_tls.as_str()),
            ),
            (
                "the client saw the proxy's certificate",
                peer(&self.client) == Some(scene.proxy_sha256),
            ),
            (
                "the server has the certificate made for it",
                peer(self.direct) == Some(scene.server_sha256),
            ),
            (
                "the client's login is bound to its TLS channel",
                self.client.accepted == Acceptance::ScramSha256Plus && self.proxy.proof == plus,
            ),
            (
                "the login to the server is bound to its TLS channel",
                self.proxy.server_login == plus,
            ),
            (
                "the client leg speaks protocol 3.2",
                self.client.version == ProtocolVersion::V3_2,
            ),
            (
                "the server leg speaks the newest protocol that this server knows",
                self.direct.version == server_protocol,
            ),
            ("a client without TLS is refused with 28000", refused),
        ];
        match claims.into_iter().find(|(_, holds)| !holds) {
            Some((claim, _)) => Err(DemoFault::NotAsClaimed(claim.to_owned())),
            None => Ok(()),
        }
    }
}

fn scram(how: Acceptance) -> String {
    match how {
        Acceptance::ScramSha256Plus => "SCRAM-SHA-256-PLUS".to_owned(),
        other => leg::login(other).to_owned(),
    }
}

/// RFC 5929 section 4.
fn binding(how: Acceptance) -> &'static str {
    match how {
        Acceptance::ScramSha256Plus => "tls-server-end-point",
        _ => "none",
    }
}
