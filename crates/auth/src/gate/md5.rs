//! Owns the server's side of MD5: a challenge, a reply (PostgreSQL manual, section 55.2.1).

use super::password::parse_password;
use super::types::{Attempt, GateStep, Proof, Proved, ProvedBy};
use super::{Gate, State};
use crate::digest::CryptoFault;
use crate::identity::ProvedUser;
use crate::refusal::{Reason, Refusal};
use crate::request::AuthRequest;
use crate::verifier::{Md5Hash, Stored, Verifier};
use buf::Secret;

/// Awaits the reply to the challenge.
pub(crate) struct AwaitReply {
    user: String,
    hash: Md5Hash,
    right: Secret,
    standing: Standing,
}

/// Whether the right reply may succeed.
#[derive(Clone, Copy)]
enum Standing {
    Sound,
    Doomed(Reason),
}

pub(super) fn start(attempt: Attempt<'_>) -> GateStep {
    let salt = attempt.chance.md5_salt;
    match AwaitReply::new(attempt) {
        Ok(next) => GateStep::Send(
            AuthRequest::Md5Password { salt },
            Gate::from(State::Md5Reply(next)),
        ),
        Err(fault) => GateStep::Refused(Refusal::crypto(fault)),
    }
}

impl AwaitReply {
    fn new(attempt: Attempt<'_>) -> Result<Self, CryptoFault> {
        let mock = || Md5Hash::of(attempt.user, attempt.mock.password().expose());
        let (hash, standing) = match attempt.stored {
            Stored::Known(Verifier::Md5(hash)) => (hash, Standing::Sound),
            Stored::Known(Verifier::Password(password)) => (
                Md5Hash::of(attempt.user, password.expose())?,
                Standing::Sound,
            ),
            Stored::Known(Verifier::Scram(_)) | Stored::AskServer => {
                (mock()?, Standing::Doomed(Reason::UnusableVerifier))
            }
            Stored::Unknown => (mock()?, Standing::Doomed(Reason::UnknownUser)),
            Stored::Unusable(fault) => (mock()?, Standing::Doomed(Reason::AuthQuery(fault))),
        };
        Ok(Self {
            user: attempt.user.to_owned(),
            right: hash.reply(attempt.chance.md5_salt)?,
            hash,
            standing,
        })
    }

    pub(super) fn on_message(self, body: &[u8]) -> GateStep {
        let reply = match parse_password(body) {
            Ok(reply) => reply,
            Err(refusal) => return GateStep::Refused(refusal),
        };
        let reason = match (self.standing, self.right.same_as(reply.expose())) {
            (Standing::Sound, true) => {
                return GateStep::Proved(Proved {
                    user: ProvedUser::new(self.user),
                    by: ProvedBy::Md5,
                    last: None,
                    proof: Proof::Md5(self.hash),
                });
            }
            (Standing::Sound, false) => Reason::WrongPassword,
            (Standing::Doomed(reason), _) => reason,
        };
        GateStep::Refused(Refusal::password(&self.user, reason))
    }
}
