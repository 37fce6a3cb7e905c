//! Owns what goes into a login to a server and what comes out of it.

use super::{scram, start};
use crate::digest::CryptoFault;
use crate::identity::ServerUser;
use crate::leg::LegFacts;
use crate::scram::{Derivation, ITERATIONS_MAX, SALT_LEN_MAX, ScramKeys};
use crate::verifier::Md5Hash;
use buf::Secret;
use std::fmt;

/// One login to a server.
#[derive(Debug)]
pub struct ServerLogin<'a> {
    /// The role that the startup packet names.
    pub user: &'a ServerUser,
    /// What there is to prove it with.
    pub credential: Credential,
    /// The server's leg.
    pub leg: &'a LegFacts,
    /// The operator's settings.
    pub rules: &'a AnswerRules,
    /// Fresh random bytes for our part of the SCRAM nonce.
    pub nonce: [u8; 18],
}

/// What proves a role to a server.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing, or a client certificate that TLS has shown already.
    None,
    /// The password.
    Password(Secret),
    /// Keys that a client's proof gave. They fit only a server with the same verifier.
    ScramKeys(ScramKeys),
    /// The MD5 hash.
    Md5Hash(Md5Hash),
}

impl Credential {
    /// Whether both prove the same. Secrets are compared in a time that depends on their lengths alone.
    pub fn same_as(&self, other: &Credential) -> bool {
        match (self, other) {
            (Credential::None, Credential::None) => true,
            (Credential::Password(one), Credential::Password(other)) => one.same_as(other.expose()),
            (Credential::ScramKeys(one), Credential::ScramKeys(other)) => {
                (&one.salt, one.iterations) == (&other.salt, other.iterations)
                    && one.client_key.same_as(other.client_key.expose())
                    && one.server_key.same_as(other.server_key.expose())
            }
            (Credential::Md5Hash(one), Credential::Md5Hash(other)) => one.same_as(other),
            _ => false,
        }
    }
}

/// Settings of a server that decide about logins to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerRules {
    /// Channel binding.
    pub binding: ChannelBinding,
    /// Passwords in clear text.
    pub clear_password: ClearPassword,
    /// MD5.
    pub md5: Md5Use,
    /// What the server must ask for.
    pub require_auth: RequireAuth,
}

/// Channel binding towards servers, as libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Not used.
    Disable,
    /// Used where the server offers it.
    #[default]
    Prefer,
    /// Nothing else will do.
    Require,
}

/// Whether a server may ask for the password in clear text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClearPassword {
    /// No.
    #[default]
    Never,
    /// Inside TLS, to a server whose certificate was verified.
    InsideVerifiedTls,
}

/// Whether a server may ask for MD5.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Md5Use {
    /// No.
    Never,
    /// Inside TLS or a Unix-domain socket.
    #[default]
    InsideTls,
    /// Even in clear text.
    Anywhere,
}

/// What a server must ask for, as libpq's `require_auth`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequireAuth {
    /// Anything, nothing included.
    #[default]
    Any,
    /// Some proof: a server that asks for nothing is not the one meant.
    Proof,
    /// SCRAM, with or without channel binding.
    Scram,
}

/// A login in progress, in the state of what it awaits.
pub struct Answer(pub(super) State);

pub(super) enum State {
    /// The first request.
    Start(start::Start),
    /// server-first-message.
    ScramFirst(scram::AwaitFirst),
    /// Keys for the server's salt and iterations.
    ScramKeys(scram::AwaitKeys),
    /// server-final-message.
    ScramFinal(scram::AwaitFinal),
    /// AuthenticationOk, with nothing left to prove for the server.
    Ok(Acceptance),
}

/// What to do next with a server.
#[derive(Debug)]
pub enum AnswerStep {
    /// Send this as a `p` message and await an `R` message.
    Send(Response, Answer),
    /// Answer this with [`scram::derive`](crate::scram::derive), then call [`Answer::on_derived`].
    Derive(Derivation, Answer),
    /// Nothing to send; await the next `R` message.
    Expect(Answer),
    /// AuthenticationOk, and nothing is left to be proved.
    Done(Accepted),
    /// Close the connection.
    Fault(AuthFault),
}

/// The body of a `p` message. It may be a password.
#[derive(Debug)]
pub struct Response {
    /// Which message it is; on the wire they look the same.
    pub kind: ResponseKind,
    /// The body, without type and length.
    pub body: Secret,
}

/// The messages that share the type `p`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseKind {
    /// PasswordMessage.
    PasswordMessage,
    /// SASLInitialResponse.
    SaslInitialResponse,
    /// SASLResponse.
    SaslResponse,
}

/// A server that let us in. Only [`Answer`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted(Acceptance);

impl Accepted {
    pub(super) fn new(how: Acceptance) -> Self {
        Self(how)
    }

    /// What the server asked for.
    pub fn how(&self) -> Acceptance {
        self.0
    }
}

/// What a server asked for before it let us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Nothing: trust, or our certificate.
    Unasked,
    /// The password in clear text.
    ClearPassword,
    /// MD5.
    Md5,
    /// SCRAM; the server proved to know the verifier.
    ScramSha256,
    /// SCRAM bound to this TLS session; nobody is in between.
    ScramSha256Plus,
}

/// Why a login to a server ended. Says what to do, holds nothing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthFault {
    /// `channel_binding = require` on a leg that cannot have it.
    #[error(
        "channel binding is required, but this connection has none: it needs TLS and a certificate with a hash (not Ed25519 or Ed448)"
    )]
    BindingUnavailable,
    /// `channel_binding = require`, and the server asked for something else.
    #[error("channel binding is required, but the server did not offer SCRAM-SHA-256-PLUS")]
    BindingNotOffered,
    /// SCRAM-SHA-256-PLUS offered in clear text: somebody ends TLS in between.
    #[error(
        "the server offered channel binding on a connection without TLS: possible man in the middle"
    )]
    BindingWithoutTls,
    /// AuthenticationOk while the server still owed its proof.
    #[error(
        "the server claimed success before it proved to know the verifier: possible man in the middle"
    )]
    OkBeforeProof,
    /// AuthenticationOk although `require_auth` wants a proof.
    #[error("the server asked for no proof, but require_auth wants one")]
    OkUnasked,
    /// Something else than SCRAM although `require_auth` wants it.
    #[error("the server did not ask for SCRAM, but require_auth wants it")]
    ScramNotAsked,
    /// A password in clear text, where that is not allowed.
    #[error(
        "the server asked for the password in clear text, which is allowed only by setting and inside verified TLS"
    )]
    ClearPasswordRefused,
    /// MD5, where that is not allowed.
    #[error("the server asked for MD5, which the setting does not allow on this connection")]
    Md5Refused,
    /// A method that Portcullis does not speak.
    #[error(
        "the server asked for authentication method {code} (Kerberos, GSSAPI and SSPI are not supported)"
    )]
    UnsupportedMethod {
        /// The code of the request.
        code: i32,
    },
    /// A request out of order.
    #[error("the server sent authentication request {code} out of order")]
    UnexpectedRequest {
        /// The code of the request.
        code: i32,
    },
    /// A request that does not parse.
    #[error("the server sent a malformed authentication request")]
    Malformed,
    /// A request beyond the limit.
    #[error("the server sent an authentication request of {len} bytes, more than {limit}")]
    Oversize {
        /// Bytes received.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// None of the SASL mechanisms is ours.
    #[error(
        "the server offers no SASL mechanism that Portcullis speaks (SCRAM-SHA-256, SCRAM-SHA-256-PLUS)"
    )]
    NoMechanism,
    /// There is nothing to prove the role with.
    #[error("the server asked for a proof that the configured credential cannot give")]
    NoCredential,
    /// The server's nonce does not begin with ours.
    #[error("the server's SCRAM nonce does not extend ours: possible replay")]
    Nonce,
    /// Iterations out of bounds.
    #[error("the server asked for SCRAM iterations outside 1 to {ITERATIONS_MAX}")]
    Iterations,
    /// Salt out of bounds.
    #[error("the server sent a SCRAM salt outside 1 to {SALT_LEN_MAX} bytes")]
    Salt,
    /// Pass-through keys of another verifier.
    #[error(
        "the verifier Portcullis checked the client with and the server's differ in salt or iterations: copy rolpassword from the server's pg_authid, or use auth_query"
    )]
    VerifierDiffers,
    /// The server sent `e=`.
    #[error("the server ended the SCRAM exchange with an error")]
    ServerError,
    /// The server's signature is wrong.
    #[error("the server's SCRAM signature is wrong: it does not know the verifier")]
    ServerSignature,
    /// A message while keys were awaited, or keys while a message was.
    #[error("authentication step out of turn")]
    OutOfTurn,
    /// OpenSSL failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFault),
}

impl Answer {
    /// Begins a login, once the server's leg is as it will stay. The server speaks first.
    pub fn start(login: ServerLogin<'_>) -> Result<Self, AuthFault> {
        start::Start::new(login).map(|start| Self(State::Start(start)))
    }

    /// Takes the body of the server's next `R` message.
    pub fn on_request(self, body: &[u8]) -> AnswerStep {
        start::on_request(self.0, body).unwrap_or_else(AnswerStep::Fault)
    }

    /// Takes the answer to [`AnswerStep::Derive`].
    pub fn on_derived(self, keys: Result<ScramKeys, CryptoFault>) -> AnswerStep {
        match (self.0, keys) {
            (State::ScramKeys(state), Ok(keys)) => {
                state.on_keys(&keys).unwrap_or_else(AnswerStep::Fault)
            }
            (_, Err(fault)) => AnswerStep::Fault(fault.into()),
            (_, Ok(_)) => AnswerStep::Fault(AuthFault::OutOfTurn),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Start(_) => "Answer(awaits first request)",
            State::ScramFirst(_) => "Answer(awaits server-first-message)",
            State::ScramKeys(_) => "Answer(awaits derived keys)",
            State::ScramFinal(_) => "Answer(awaits server-final-message)",
            State::Ok(_) => "Answer(awaits AuthenticationOk)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_the_same_if_all_of_them_is() {
        let keys = |salt: &[u8], iterations, keys: [&[u8]; 2]| {
            Credential::ScramKeys(ScramKeys {
                salt: salt.to_vec(),
                iterations,
                client_key: Secret::new(keys[0]),
                server_key: Secret::new(keys[1]),
            })
        };
        let hash = |password| Credential::Md5Hash(Md5Hash::of("u", password).unwrap());
        let all = || {
            [
                Credential::None,
                Credential::Password(Secret::new(b"a")),
                Credential::Password(Secret::new(b"b")),
                keys(b"s", 1, [b"c", b"d"]),
                keys(b"t", 1, [b"c", b"d"]),
                keys(b"s", 2, [b"c", b"d"]),
                keys(b"s", 1, [b"x", b"d"]),
                keys(b"s", 1, [b"c", b"x"]),
                hash(b"a"),
                hash(b"b"),
            ]
        };
        for (at, one) in all().iter().enumerate() {
            for (other_at, other) in all().iter().enumerate() {
                assert_eq!(one.same_as(other), at == other_at, "{at} {other_at}");
            }
        }
    }
}
