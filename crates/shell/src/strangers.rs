//! Owns what is logged of clients that didn't get in and of cancel requests that hit nothing. How many
//! lines they cost is [`Brevity`]'s: strangers must not fill a disk, nor hide one reason behind another.

use crate::brevity::Brevity;
use session::fault::{Fault, FaultKind, Side};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tracing::{info, warn};

/// The lines of one proxy.
pub struct Strangers {
    brevity: Mutex<Brevity<Line>>,
    since: Instant,
}

/// What happened to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It didn't get in.
    Refused,
    /// A cancel request outside TLS that the setting refuses.
    PlaintextCancel,
    /// A cancel request for no session of ours.
    CancelUnknown,
    /// A cancel request beyond the limit.
    CancelDropped,
    /// A cancel request that didn't reach its server.
    CancelFailed,
}

struct Line {
    event: Event,
    client: String,
    /// User and database that it named.
    claim: Option<(String, String)>,
    reason: Option<String>,
}

impl Default for Strangers {
    fn default() -> Self {
        Strangers {
            brevity: Mutex::default(),
            since: Instant::now(),
        }
    }
}

impl Strangers {
    /// A client that didn't get in.
    pub fn refused(&self, client: &str, claim: Option<&(String, String)>, fault: &Fault) {
        // Port scans and health checks that connect and leave are no news.
        if fault.side == Side::Client && matches!(fault.kind, FaultKind::Lost { truncated: false })
        {
            tracing::debug!(target: "portcullis::session", client, reason = %fault, "client left");
            return;
        }
        let line = Line {
            event: Event::Refused,
            client: client.to_owned(),
            claim: claim.cloned(),
            reason: Some(fault.to_string()),
        };
        self.offer(line, kind(fault));
    }

    /// A cancel request that came to nothing.
    pub fn cancel(&self, event: Event, client: &str, fault: Option<&Fault>) {
        let line = Line {
            event,
            client: client.to_owned(),
            claim: None,
            reason: fault.map(Fault::to_string),
        };
        self.offer(line, fault.map(kind).unwrap_or_default());
    }

    /// Writes what has been left out since the last time; to be called once a second.
    pub fn write_due(&self) {
        let now = self.since.elapsed();
        for (line, more) in self.brevity().due(now) {
            write(&line, (more > 0).then_some(more));
        }
    }

    fn offer(&self, line: Line, reason: String) {
        let kind = format!("{:?} {reason}", line.event);
        let now = self.since.elapsed();
        let line = self.brevity().offer(&kind, line, now);
        if let Some(line) = line {
            write(&line, None);
        }
    }

    fn brevity(&self) -> std::sync::MutexGuard<'_, Brevity<Line>> {
        self.brevity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What makes two reasons different: their words. Numbers in them are lengths and bytes that the
/// other side chose, but for those of the operator's own rules.
fn kind(fault: &Fault) -> String {
    let text = fault.to_string();
    match fault.kind {
        FaultKind::AuthRefused { .. } => text,
        _ => text.replace(|it: char| it.is_ascii_digit(), ""),
    }
}

fn write(line: &Line, left_out: Option<u64>) {
    let Line {
        event,
        client,
        claim,
        reason,
    } = line;
    let (user, database) = claim.as_ref().map(|(u, d)| (u, d)).unzip();
    match event {
        Event::Refused => warn!(
            target: "portcullis::session",
            client, user, database, reason, left_out, "client refused"
        ),
        Event::PlaintextCancel => warn!(
            target: "portcullis::cancel",
            client,
            left_out,
            "refused an unencrypted cancel request (psql up to 18 sends such on Ctrl-C); \
             plaintext_cancel = \"accept\" in [listen.tls] lets it pass"
        ),
        Event::CancelUnknown => info!(
            target: "portcullis::cancel",
            client, left_out, "cancel request for an unknown session"
        ),
        Event::CancelDropped => warn!(
            target: "portcullis::cancel",
            client,
            left_out,
            "cancel request dropped: too many, see cancel_rate and cancel_concurrency in [limits]"
        ),
        Event::CancelFailed => warn!(
            target: "portcullis::cancel",
            client, reason, left_out, "cancel request failed"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(Side::Client, kind)
    }

    #[test]
    fn reasons_differ_by_words_and_by_the_operators_own_numbers() {
        let length = |len| fault(FaultKind::BadLength { tag: b'Q', len });
        assert_eq!(kind(&length(17)), kind(&length(40_000)));
        let rule = |line| {
            fault(FaultKind::AuthRefused {
                sqlstate: "28000",
                message: String::new(),
                reason: format!("line {line} of auth_hba_file rejects it"),
            })
        };
        assert_ne!(kind(&rule(3)), kind(&rule(5)));
        // What a client names is no part of it.
        let unknown = |name: &str| fault(FaultKind::UnknownDatabase { name: name.into() });
        assert_eq!(kind(&unknown("a")), kind(&unknown("b")));
    }

    #[test]
    fn lines_that_were_left_out_are_kept_until_they_are_due() {
        let strangers = Strangers::default();
        for _ in 0..50 {
            strangers.refused("somebody", None, &fault(FaultKind::NoUser));
        }
        let due = strangers.brevity().due(strangers.since.elapsed());
        assert_eq!(due.len(), 1);
        // At most two seconds can have passed in between.
        assert!((37..=39).contains(&due[0].1), "{}", due[0].1);
        let left = fault(FaultKind::Lost { truncated: false });
        strangers.refused("a health check", None, &left);
        assert!(
            strangers
                .brevity()
                .due(strangers.since.elapsed())
                .is_empty()
        );
    }
}
