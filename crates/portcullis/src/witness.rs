//! Owns what the running proxy itself says about a session, taken from its log events: the facts
//! of both legs as its own TLS engines have them. Nothing else of the log is kept.

use crate::output::say;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Where the proxy writes about sessions.
const TARGET: &str = "portcullis::session";

/// The first line of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Testimony {
    /// `session started`, or something else.
    message: String,
    /// Version, suite and group of the client's leg.
    pub(crate) client_tls: String,
    /// How the client proved who it is.
    pub(crate) proof: String,
    /// Version, suite and group of the server's leg.
    pub(crate) server_tls: String,
    /// What the server asked for.
    pub(crate) server_login: String,
    /// Process id at the server.
    pub(crate) server_pid: String,
}

/// Hears of every session of this process.
#[derive(Clone, Default)]
pub(crate) struct Witness(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    last: Option<Testimony>,
    aloud: bool,
}

impl Witness {
    /// What was said about the session that began last.
    pub(crate) fn last(&self) -> Option<Testimony> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.last.clone()
    }

    /// From now on each session is told to the terminal, too.
    pub(crate) fn speak_up(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).aloud = true;
    }
}

impl<S: Subscriber> Layer<S> for Witness {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != TARGET {
            return;
        }
        let mut testimony = Testimony::default();
        event.record(&mut testimony);
        if testimony.message != "session started" {
            return;
        }
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.aloud {
            let Testimony {
                client_tls,
                server_tls,
                server_pid,
                ..
            } = &testimony;
            say(&format!(
                "session of backend {server_pid}: client {client_tls}; server {server_tls}"
            ));
        }
        heard.last = Some(testimony);
    }
}

impl Testimony {
    fn slot(&mut self, field: &Field) -> Option<&mut String> {
        Some(match field.name() {
            "message" => &mut self.message,
            "client_tls" => &mut self.client_tls,
            "proof" => &mut self.proof,
            "server_tls" => &mut self.server_tls,
            "server_login" => &mut self.server_login,
            "server_pid" => &mut self.server_pid,
            _ => return None,
        })
    }
}

impl Visit for Testimony {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(slot) = self.slot(field) {
            value.clone_into(slot);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if let Some(slot) = self.slot(field) {
            slot.clear();
            let _ = write!(slot, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn keeps_the_start_of_a_session_and_nothing_else() {
        let witness = Witness::default();
        let subscriber = tracing_subscriber::registry().with(witness.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "portcullis::session", server_pid = 1, "session ended");
            tracing::info!(target: "another", server_pid = 2, "session started");
            assert_eq!(witness.last(), None);
            let pid: u32 = 3;
            tracing::info!(
                target: "portcullis::session",
                server_tls = "TLSv1.3 S G",
                server_pid = pid,
                "session started"
            );
        });
        let last = witness.last().unwrap_or_default();
        assert_eq!(
            (last.server_tls.as_str(), last.server_pid.as_str()),
            ("TLSv1.3 S G", "3")
        );
    }
}
