//! Owns the choice of how a client is asked to prove who it is: by the rules, where there are some,
//! else by the listener and what is configured for the user.

use crate::setup::{ClientCertificates, Listener, Setup};
use auth::hba::{Asker, Certificate, From, Verdict, Wants};
use auth::{LegFacts, Method};
use session::arrival::Newcomer;
use session::fault::{Fault, FaultKind, Side};
use std::net::IpAddr;
use wire::startup::Replication;

/// How a client is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The method.
    pub method: Method,
    /// What its certificate has to be good for, whatever the method.
    pub certificate: Certificate,
}

/// The entry for a newcomer; `address` is where it comes from, if not from a Unix-domain socket.
pub fn choose(
    setup: &Setup,
    listener: &Listener,
    newcomer: &Newcomer,
    (leg, address): (&LegFacts, Option<IpAddr>),
) -> Result<Entry, Fault> {
    let demanded = match listener.client_certificates {
        ClientCertificates::VerifiedForUser => Certificate::NamesTheRole,
        ClientCertificates::NotAsked | ClientCertificates::Verified => Certificate::AsListener,
    };
    let Some(hba) = &setup.auth.hba else {
        let exception = setup.auth.exceptions.get(&newcomer.user);
        let method = match exception.and_then(|exception| exception.method) {
            Some(method) if leg.unix.is_none() => method,
            _ => listener.method,
        };
        let certificate = demanded;
        return Ok(Entry {
            method,
            certificate,
        });
    };
    let asker = Asker {
        from: match address {
            Some(address) if leg.unix.is_none() => From::Host {
                address,
                encrypted: leg.encrypted,
            },
            _ => From::Local,
        },
        user: &newcomer.user,
        wants: match newcomer.replication {
            Replication::Physical => Wants::PhysicalReplication,
            _ => Wants::Database(&newcomer.database),
        },
    };
    match hba.judge(asker) {
        Verdict::Ask {
            method,
            certificate,
            ..
        } => Ok(Entry {
            method,
            certificate: match (demanded, certificate) {
                (Certificate::NamesTheRole, _) => demanded,
                (_, certificate) => certificate,
            },
        }),
        Verdict::Rejected { line } => {
            let reason = format!("line {line} of auth_hba_file rejects it");
            Err(refused(asker, Refusal::Rejected, reason))
        }
        Verdict::NoRule => {
            let reason = "no line of auth_hba_file matches it".to_owned();
            Err(refused(asker, Refusal::NoRule, reason))
        }
    }
}

/// What a client reads that the rules keep out.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Rejected,
    NoRule,
}

/// In PostgreSQL's words (auth.c, ClientAuthentication).
fn refused(asker: Asker<'_>, refusal: Refusal, reason: String) -> Fault {
    let (host, encryption) = match asker.from {
        From::Host { address, encrypted } => (address.to_string(), encrypted),
        From::Local => ("[local]".to_owned(), false),
    };
    let encryption = match encryption {
        true => "SSL encryption",
        false => "no encryption",
    };
    let user = asker.user;
    let message = match (refusal, asker.wants) {
        (Refusal::NoRule, Wants::Database(database)) => format!(
            "no pg_hba.conf entry for host \"{host}\", user \"{user}\", database \
             \"{database}\", {encryption}"
        ),
        (Refusal::Rejected, Wants::Database(database)) => format!(
            "pg_hba.conf rejects connection for host \"{host}\", user \"{user}\", database \
             \"{database}\", {encryption}"
        ),
        (Refusal::NoRule, Wants::PhysicalReplication) => format!(
            "no pg_hba.conf entry for replication connection from host \"{host}\", user \
             \"{user}\", {encryption}"
        ),
        (Refusal::Rejected, Wants::PhysicalReplication) => format!(
            "pg_hba.conf rejects replication connection for host \"{host}\", user \"{user}\", \
             {encryption}"
        ),
    };
    let kind = FaultKind::AuthRefused {
        sqlstate: "28000",
        message,
        reason,
    };
    Fault::new(Side::Client, kind)
}
