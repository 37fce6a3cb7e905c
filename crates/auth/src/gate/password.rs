//! Owns the password in clear text: asked for only inside TLS or a Unix-domain socket, compared
//! here or left to the server.
//!
//! Whatever is stored, one derivation is run, so that neither the kind of verifier nor its absence
//! shows in the time.

use super::types::{Attempt, Claim, GateStep, Proof, Proved, ProvedBy};
use super::{Gate, State};
use crate::digest::{CryptoFault, sha256};
use crate::identity::ProvedUser;
use crate::refusal::{Malformed, Reason, Refusal, RefusalKind};
use crate::request::AuthRequest;
use crate::scram::{Derivation, ScramKeys, ScramVerifier};
use crate::verifier::{Md5Hash, Stored, Verifier};
use buf::Secret;

/// What PostgreSQL accepts as a password (`PG_MAX_AUTH_TOKEN_LENGTH`).
const PASSWORD_LEN_MAX: usize = 65535;

/// Awaits PasswordMessage.
pub(crate) struct AwaitPassword {
    user: String,
    stored: Stored,
    salt: Vec<u8>,
    iterations: u32,
}

pub(super) fn start(attempt: Attempt<'_>) -> GateStep {
    if !attempt.leg.encrypted && attempt.leg.unix.is_none() {
        return GateStep::Refused(Refusal::specification(
            "password authentication requires an encrypted connection",
            Reason::ClearPasswordWithoutTls,
        ));
    }
    let next = AwaitPassword {
        salt: attempt.mock.salt(attempt.user),
        user: attempt.user.to_owned(),
        stored: attempt.stored,
        iterations: attempt.rules.iterations,
    };
    GateStep::Send(
        AuthRequest::CleartextPassword,
        Gate::from(State::Password(next)),
    )
}

/// The text of a PasswordMessage: its zero byte is the last byte and the only one.
pub(super) fn parse_password(body: &[u8]) -> Result<Secret, Refusal> {
    if body.len() > PASSWORD_LEN_MAX {
        return Err(Refusal::oversize(body.len(), PASSWORD_LEN_MAX));
    }
    match body.split_last() {
        Some((0, text)) if text.contains(&0) => Err(Refusal::malformed(Malformed::PasswordPacket)),
        Some((0, [])) => Err(Refusal::new(
            RefusalKind::Password,
            "empty password returned by client".to_owned(),
            Reason::EmptyPassword,
        )),
        Some((0, text)) => Ok(Secret::new(text)),
        _ => Err(Refusal::malformed(Malformed::PasswordPacket)),
    }
}

impl AwaitPassword {
    pub(super) fn on_message(self, body: &[u8]) -> GateStep {
        let password = match parse_password(body) {
            Ok(password) => password,
            Err(refusal) => return GateStep::Refused(refusal),
        };
        let check = match self.stored {
            Stored::AskServer => return GateStep::AskServer(Claim::new(self.user, password)),
            Stored::Unknown => Check::Decided(Err(Reason::UnknownUser)),
            Stored::Unusable(fault) => Check::Decided(Err(Reason::AuthQuery(fault))),
            Stored::Known(verifier) => match Check::new(&self.user, &password, verifier) {
                Ok(check) => check,
                Err(fault) => return GateStep::Refused(Refusal::crypto(fault)),
            },
        };
        let question = match &check {
            Check::Keys(verifier) => verifier.derivation(password.clone()),
            Check::Decided(_) => Derivation {
                password: password.clone(),
                salt: self.salt,
                iterations: self.iterations,
            },
        };
        let next = AwaitKeys {
            user: self.user,
            password,
            check,
        };
        GateStep::Derive(question, State::PasswordKeys(next).into())
    }
}

/// What is left to be decided.
enum Check {
    /// Compare the keys with these.
    Keys(ScramVerifier),
    /// Nothing: the derivation is for the time's sake.
    Decided(Result<(), Reason>),
}

impl Check {
    fn new(user: &str, password: &Secret, verifier: Verifier) -> Result<Self, CryptoFault> {
        let is_right = match verifier {
            Verifier::Scram(verifier) => return Ok(Self::Keys(verifier)),
            Verifier::Md5(hash) => Md5Hash::of(user, password.expose())?.matches(&hash),
            // Digests have one length, so the comparison does not tell the password's.
            Verifier::Password(right) => openssl::memcmp::eq(
                sha256(right.expose()).as_slice(),
                sha256(password.expose()).as_slice(),
            ),
        };
        Ok(Self::Decided(if is_right {
            Ok(())
        } else {
            Err(Reason::WrongPassword)
        }))
    }
}

/// Awaits the keys of the password that the client sent.
pub(crate) struct AwaitKeys {
    user: String,
    password: Secret,
    check: Check,
}

impl AwaitKeys {
    pub(super) fn on_keys(self, keys: &ScramKeys) -> GateStep {
        let verdict = match self.check {
            Check::Decided(verdict) => verdict,
            Check::Keys(verifier) if verifier.matches(keys) => Ok(()),
            Check::Keys(_) => Err(Reason::WrongPassword),
        };
        match verdict {
            Ok(()) => GateStep::Proved(Proved {
                user: ProvedUser::new(self.user),
                by: ProvedBy::Password,
                last: None,
                proof: Proof::Password(self.password),
            }),
            Err(reason) => GateStep::Refused(Refusal::password(&self.user, reason)),
        }
    }
}
