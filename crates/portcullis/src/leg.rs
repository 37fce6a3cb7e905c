//! Owns how a leg, a certificate and the fault of an attempt are shown to people: aligned lines,
//! names as they stand in certificates, no secrets.

use auth::Acceptance;
use session::fault::{Fault, FaultKind};
use shell::probe::{Leg, Session};
use tls::{LegFacts, PeerCertificate};
use wire::Message as _;
use wire::from_server::ErrorResponse;

/// Columns before a value.
const LABEL: usize = 16;

/// One aligned line below a heading.
pub(crate) fn line(label: &str, value: &str) -> String {
    format!("  {label:LABEL$} {value}")
}

/// Version, suite and group.
pub(crate) fn tls(facts: &LegFacts) -> String {
    let group = facts.group.as_deref().unwrap_or("group unknown");
    format!("{}, {}, {group}", facts.version, facts.cipher)
}

/// A certificate's subject, issuer, names, fingerprint and end.
pub(crate) fn certificate(certificate: &PeerCertificate) -> Vec<String> {
    vec![
        line("certificate", &certificate.subject),
        line("  issued by", &certificate.issuer),
        line("  made out to", &names(certificate)),
        line("  SHA-256", &certificate.sha256_hex()),
        line("  valid until", &certificate.not_after),
    ]
}

/// The hosts that a certificate is for.
pub(crate) fn names(certificate: &PeerCertificate) -> String {
    let addresses = certificate.ip.iter().map(ToString::to_string);
    let names: Vec<String> = certificate.dns.iter().cloned().chain(addresses).collect();
    match (names.is_empty(), &certificate.common_name) {
        (false, _) => names.join(", "),
        (true, Some(name)) => format!("{name} (as common name only)"),
        (true, None) => "nobody".to_owned(),
    }
}

/// What was seen of a server's leg, and how its certificate was verified.
pub(crate) fn server(seen: &Leg, verified: &str) -> Vec<String> {
    let mut lines = vec![match &seen.tls {
        Some(facts) => line("TLS", &tls(facts)),
        None => line("TLS", "none: everything on this leg is in clear text"),
    }];
    lines.extend(seen.certificate().map(certificate).unwrap_or_default());
    lines.push(line("verified by", verified));
    lines
}

/// What was seen of a login.
pub(crate) fn session(role: &str, session: &Session) -> Vec<String> {
    let version = session
        .server_version
        .as_deref()
        .unwrap_or("unknown version");
    let how = login(session.accepted);
    let spoken = format!("{}, PostgreSQL {}", session.version, printable(version));
    vec![
        line("login", &format!("as {role:?}: {how}")),
        line("protocol", &spoken),
    ]
}

/// What a peer asked for before it let us in.
pub(crate) fn login(how: Acceptance) -> &'static str {
    match how {
        Acceptance::Unasked => "nothing asked (trust, or our certificate)",
        Acceptance::ClearPassword => "the password itself, inside TLS",
        Acceptance::Md5 => "md5",
        Acceptance::ScramSha256 => "SCRAM-SHA-256, without channel binding",
        Acceptance::ScramSha256Plus => "SCRAM-SHA-256-PLUS, bound to this TLS channel",
    }
}

/// Why an attempt failed, with a server's own words where it gave some.
pub(crate) fn cause(fault: &Fault) -> String {
    let FaultKind::ServerRefused { sqlstate, response } = &fault.kind else {
        return fault.kind.to_string();
    };
    // Behind type byte and length.
    let body = response.0.get(5..).unwrap_or_default();
    let decoded = ErrorResponse::decode(body).ok();
    match decoded.and_then(|error| error.fields.message()) {
        Some(message) => {
            let message = printable(&String::from_utf8_lossy(&message));
            format!("the server says: {message} (SQLSTATE {sqlstate})")
        }
        None => fault.kind.to_string(),
    }
}

/// A peer's text without what a terminal would act on.
fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}
