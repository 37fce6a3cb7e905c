//! Owns the server's role towards clients: one login attempt in, a proved user or a refusal out.
//!
//! Takes the bodies of `p` messages, gives the bodies of `R` messages. A user that does not exist
//! goes through the same steps, with the same lengths and the same cost, as one with a wrong password.

mod md5;
mod password;
mod scram;
mod types;

pub use types::{
    Attempt, BindingRule, Chance, Claim, Doomed, GateRules, GateStep, Method, MockSecret, Proof,
    Proved, ProvedBy, Trust,
};

use crate::digest::CryptoFault;
use crate::identity::ProvedUser;
use crate::refusal::{Reason, Refusal, RefusalKind};
use crate::scram::ScramKeys;
use crate::verifier::{Stored, Verifier};
use std::fmt;

/// A login in progress, in the state of what it awaits.
pub struct Gate(State);

pub(crate) enum State {
    /// SASLInitialResponse.
    ScramMechanism(scram::AwaitMechanism),
    /// client-first-message, after a SASLInitialResponse without data.
    ScramFirst(scram::AwaitFirst),
    /// client-final-message.
    ScramFinal(scram::AwaitFinal),
    /// Keys of a password that is stored as such.
    ScramKeys(scram::AwaitKeys),
    /// PasswordMessage with the reply to an MD5 challenge.
    Md5Reply(md5::AwaitReply),
    /// PasswordMessage with the password.
    Password(password::AwaitPassword),
    /// Keys of the password that the client sent.
    PasswordKeys(password::AwaitKeys),
}

impl From<State> for Gate {
    fn from(state: State) -> Self {
        Self(state)
    }
}

impl Gate {
    /// Begins a login. Call once the client's leg is as it will stay: inside TLS, if ever.
    pub fn start(attempt: Attempt<'_>) -> GateStep {
        if attempt.user.is_empty() || attempt.user.contains('\0') {
            let message = "no PostgreSQL user name specified in startup packet";
            return GateStep::Refused(Refusal::specification(message, Reason::NoUserName));
        }
        match attempt.method {
            Method::ScramSha256 => scram::start(attempt),
            Method::Md5 => start_md5(attempt),
            Method::Password => password::start(attempt),
            Method::Certificate => certificate(&attempt),
            Method::Peer => peer(&attempt),
            Method::Trust => trust(&attempt),
        }
    }

    /// Takes the body of the client's next `p` message.
    pub fn on_message(self, body: &[u8]) -> GateStep {
        match self.0 {
            State::ScramMechanism(state) => state.on_message(body),
            State::ScramFirst(state) => state.on_message(body),
            State::ScramFinal(state) => state.on_message(body),
            State::Md5Reply(state) => state.on_message(body),
            State::Password(state) => state.on_message(body),
            State::ScramKeys(_) | State::PasswordKeys(_) => {
                let message = "unexpected authentication message";
                GateStep::Refused(Refusal::protocol(message, Reason::OutOfTurn))
            }
        }
    }

    /// Takes the answer to [`GateStep::Derive`], as [`scram::derive`](crate::scram::derive) gives it.
    pub fn on_derived(self, keys: Result<ScramKeys, CryptoFault>) -> GateStep {
        let keys = match keys {
            Ok(keys) => keys,
            Err(fault) => return GateStep::Refused(Refusal::crypto(fault)),
        };
        match self.0 {
            State::ScramKeys(state) => state.on_keys(&keys),
            State::PasswordKeys(state) => state.on_keys(&keys),
            _ => GateStep::Refused(Refusal::new(
                RefusalKind::Internal,
                "could not verify the password".to_owned(),
                Reason::OutOfTurn,
            )),
        }
    }
}

/// As PostgreSQL does: a user with a SCRAM verifier is asked for SCRAM under `md5` too.
fn start_md5(attempt: Attempt<'_>) -> GateStep {
    match (&attempt.stored, attempt.rules.doomed) {
        (Stored::Known(Verifier::Scram(_)), _) => scram::start(attempt),
        (Stored::Known(_), _) | (_, Doomed::Md5) => md5::start(attempt),
        (_, Doomed::Scram | Doomed::ScramDerived) => scram::start(attempt),
    }
}

fn certificate(attempt: &Attempt<'_>) -> GateStep {
    let user = attempt.user;
    match attempt.rules.certificates.admits(attempt.leg, user) {
        Ok(()) => proved_at_once(user, ProvedBy::Certificate),
        Err(reason @ Reason::NoCertificate) => GateStep::Refused(Refusal::specification(
            "connection requires a valid client certificate",
            reason,
        )),
        Err(reason) => GateStep::Refused(Refusal::specification(
            &format!("certificate authentication failed for user \"{user}\""),
            reason,
        )),
    }
}

fn peer(attempt: &Attempt<'_>) -> GateStep {
    let user = attempt.user;
    match attempt.rules.peers.admits(attempt.leg, user) {
        Ok(()) => proved_at_once(user, ProvedBy::Peer),
        Err(reason) => GateStep::Refused(Refusal::specification(
            &format!("Peer authentication failed for user \"{user}\""),
            reason,
        )),
    }
}

fn trust(attempt: &Attempt<'_>) -> GateStep {
    let user = attempt.user;
    match attempt.rules.trust {
        Trust::NamedForListener => proved_at_once(user, ProvedBy::Trust),
        Trust::Refused => GateStep::Refused(Refusal::specification(
            &format!("\"trust\" authentication failed for user \"{user}\""),
            Reason::TrustNotNamed,
        )),
    }
}

fn proved_at_once(user: &str, by: ProvedBy) -> GateStep {
    GateStep::Proved(Proved {
        user: ProvedUser::new(user.to_owned()),
        by,
        last: None,
        proof: Proof::None,
    })
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::ScramMechanism(_) => "Gate(awaits SASLInitialResponse)",
            State::ScramFirst(_) => "Gate(awaits client-first-message)",
            State::ScramFinal(_) => "Gate(awaits client-final-message)",
            State::ScramKeys(_) | State::PasswordKeys(_) => "Gate(awaits derived keys)",
            State::Md5Reply(_) => "Gate(awaits MD5 reply)",
            State::Password(_) => "Gate(awaits password)",
        })
    }
}
