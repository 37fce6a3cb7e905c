//! Owns what goes into a login and what comes out of it.

use crate::answer::{Acceptance, Accepted, Credential};
use crate::certificate::{CertificateMap, PeerMap};
use crate::digest::sha256;
use crate::gate::Gate;
use crate::identity::ProvedUser;
use crate::leg::LegFacts;
use crate::refusal::{Reason, Refusal};
use crate::request::AuthRequest;
use crate::scram::{Derivation, ITERATIONS_DEFAULT, SALT_LEN, ScramKeys};
use crate::verifier::{Md5Hash, Stored};
use buf::Secret;
use std::fmt;

/// How a client has to prove who it is (PostgreSQL manual, chapter 20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `scram-sha-256`, with channel binding where the leg has it.
    ScramSha256,
    /// `md5`; users with SCRAM verifiers are asked for SCRAM.
    Md5,
    /// `password`: in clear text, and therefore only inside TLS or a Unix-domain socket.
    Password,
    /// `cert`: the verified client certificate.
    Certificate,
    /// `peer`: the operating system user at the other end of a Unix-domain socket.
    Peer,
    /// `trust`: no proof at all.
    Trust,
}

/// One login attempt.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// What is asked for.
    pub method: Method,
    /// The user of the startup packet.
    pub user: &'a str,
    /// The client's leg.
    pub leg: &'a LegFacts,
    /// What the look-up of `user` gave. Ignored by `Certificate`, `Peer` and `Trust`.
    pub stored: Stored,
    /// Fresh random bytes.
    pub chance: Chance,
    /// Makes the salts of users that do not exist.
    pub mock: &'a MockSecret,
    /// The operator's settings.
    pub rules: &'a GateRules,
}

/// Random bytes for one attempt, from the system's generator; never used twice.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    /// Our part of the SCRAM nonce (24 characters of base64, as PostgreSQL's).
    pub nonce: [u8; 18],
    /// The MD5 challenge.
    pub md5_salt: [u8; 4],
}

/// 32 random bytes that stay the same for as long as salts should, best across restarts: a salt
/// that changes tells that the user does not exist.
#[derive(Debug, Clone)]
pub struct MockSecret(Secret);

impl MockSecret {
    /// Takes the bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The salt for a user without a verifier: `SHA256(user || secret)[..16]`, as PostgreSQL's
    /// `scram_mock_salt`. Users whose passwords are stored as such get theirs this way too, so it
    /// can be used to derive and keep their keys ahead of the first login.
    pub fn salt(&self, user: &str) -> Vec<u8> {
        let data = Secret::from_vec([user.as_bytes(), self.0.expose()].concat());
        sha256(data.expose())[..SALT_LEN].to_vec()
    }

    /// What an MD5 reply for a user that does not exist is compared with.
    pub(crate) fn password(&self) -> &Secret {
        &self.0
    }
}

/// Settings of a listener that decide about logins.
#[derive(Debug, Clone)]
pub struct GateRules {
    /// Channel binding.
    pub binding: BindingRule,
    /// What the exchange with an unknown user looks like: as with most users of the store.
    pub doomed: Doomed,
    /// Iterations for unknown users and for passwords stored as such.
    pub iterations: u32,
    /// Roles of certificates.
    pub certificates: CertificateMap,
    /// Roles of operating system users.
    pub peers: PeerMap,
    /// Whether `trust` may be used.
    pub trust: Trust,
}

impl Default for GateRules {
    fn default() -> Self {
        Self {
            binding: BindingRule::Offered,
            doomed: Doomed::Scram,
            iterations: ITERATIONS_DEFAULT,
            certificates: CertificateMap::CommonName,
            peers: PeerMap::SameName,
            trust: Trust::Refused,
        }
    }
}

/// Channel binding towards clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingRule {
    /// Never offered: a load balancer in front ends TLS.
    Disabled,
    /// Offered where the leg has it; clients may do without.
    Offered,
    /// Only SCRAM-SHA-256-PLUS is offered.
    Required,
}

/// What the exchange with an unknown user looks like. It should be what most known users get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doomed {
    /// SCRAM at once: verifiers are stored, or the keys of stored passwords were derived at load.
    Scram,
    /// SCRAM with a [`Derivation`]: passwords are stored and derived from at each login.
    ScramDerived,
    /// An MD5 challenge, under [`Method::Md5`]; SCRAM otherwise.
    Md5,
}

/// Whether `trust` was allowed by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It was not.
    Refused,
    /// The operator named `trust` for this very listener.
    NamedForListener,
}

/// What to do next with a client.
#[derive(Debug)]
pub enum GateStep {
    /// Send this as an `R` message and await a `p` message.
    Send(AuthRequest, Gate),
    /// Answer this with [`scram::derive`](crate::scram::derive), then call [`Gate::on_derived`].
    Derive(Derivation, Gate),
    /// The server decides: log in to it as the claimed user with the claimed password.
    AskServer(Claim),
    /// The user is who it says. Send `last` if there is one, then AuthenticationOk.
    Proved(Proved),
    /// Send a FATAL ErrorResponse and close.
    Refused(Refusal),
}

/// A client that proved to be a user.
#[derive(Debug)]
pub struct Proved {
    /// The user.
    pub user: ProvedUser,
    /// How.
    pub by: ProvedBy,
    /// AuthenticationSASLFinal, to be sent before AuthenticationOk.
    pub last: Option<AuthRequest>,
    /// What the proof is worth towards a server.
    pub proof: Proof,
}

/// How a client proved to be a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvedBy {
    /// SCRAM without channel binding.
    ScramSha256,
    /// SCRAM bound to this TLS session.
    ScramSha256Plus,
    /// MD5.
    Md5,
    /// Password in clear text, compared here.
    Password,
    /// Password in clear text, checked by the server.
    Server,
    /// Client certificate.
    Certificate,
    /// Operating system user.
    Peer,
    /// Nothing.
    Trust,
}

/// What can be used towards a server, once.
#[derive(Debug)]
pub enum Proof {
    /// Nothing.
    None,
    /// Keys that fit any server with the same verifier.
    ScramKeys(ScramKeys),
    /// The password.
    Password(Secret),
    /// The MD5 hash.
    Md5(Md5Hash),
}

impl Proof {
    /// The same, as a credential for [`Answer`](crate::Answer).
    pub fn into_credential(self) -> Credential {
        match self {
            Self::None => Credential::None,
            Self::ScramKeys(keys) => Credential::ScramKeys(keys),
            Self::Password(password) => Credential::Password(password),
            Self::Md5(hash) => Credential::Md5Hash(hash),
        }
    }
}

/// A user and a password that nobody has checked yet.
pub struct Claim {
    user: String,
    password: Secret,
}

impl Claim {
    pub(super) fn new(user: String, password: Secret) -> Self {
        Self { user, password }
    }

    /// The user it claims to be.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// A copy of the password, for the one login that decides.
    pub fn credential(&self) -> Credential {
        Credential::Password(self.password.clone())
    }

    /// The server took the login. That proves something only if the server asked for the password:
    /// one that trusts Portcullis, or took its certificate, has not looked at what the client sent.
    pub fn accepted(self, accepted: &Accepted) -> Result<Proved, Refusal> {
        match accepted.how() {
            Acceptance::Unasked => Err(Refusal::password(&self.user, Reason::ServerDidNotCheck)),
            Acceptance::ClearPassword
            | Acceptance::Md5
            | Acceptance::ScramSha256
            | Acceptance::ScramSha256Plus => Ok(Proved {
                user: ProvedUser::new(self.user),
                by: ProvedBy::Server,
                last: None,
                proof: Proof::Password(self.password),
            }),
        }
    }

    /// The server refused the login for the password's sake.
    pub fn refused(self) -> Refusal {
        Refusal::password(&self.user, Reason::WrongPassword)
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim(..)")
    }
}
