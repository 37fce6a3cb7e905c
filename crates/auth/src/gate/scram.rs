//! Owns the server's side of SCRAM-SHA-256(-PLUS): offer, client-first, client-final, verdict.
//!
//! A doomed login has a salt, iterations and keys like any other; that it is doomed is looked at
//! once, after everything else has been computed.

use super::types::{Attempt, BindingRule, Doomed, GateStep, Proof, Proved, ProvedBy};
use super::{Gate, State};
use crate::digest::{CryptoFault, Key, sha256};
use crate::identity::ProvedUser;
use crate::refusal::{Malformed, Reason, Refusal, RefusalKind};
use crate::request::{AuthRequest, SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use crate::scram::text::encode;
use crate::scram::{
    AuthMessage, BindingFlag, ClientFinal, ClientFirst, Derivation, FirstFault, MESSAGE_LEN_MAX,
    ScramKeys, ScramVerifier, recover_client_key,
};
use crate::verifier::{Stored, Verifier};
use buf::Secret;

/// The channel-binding type that is offered (RFC 5929 section 4).
const TLS_SERVER_END_POINT: &str = "tls-server-end-point";

/// What the client's proof is checked against.
struct Held {
    user: String,
    salt: Vec<u8>,
    iterations: u32,
    source: Source,
    standing: Standing,
}

/// Where the keys come from.
enum Source {
    Verifier(ScramVerifier),
    Password(Secret),
}

/// Whether a right proof may succeed at all.
#[derive(Clone, Copy)]
enum Standing {
    Sound,
    Doomed(Reason),
}

/// What this leg can bind to, by setting and certificate.
enum Binding {
    Absent,
    Offered(Vec<u8>),
    Required(Vec<u8>),
}

/// The mechanism that the client chose.
enum Mechanism {
    /// Without binding; `plus_offered` makes the flag `y` a downgrade.
    Plain { plus_offered: bool },
    /// With the hash to bind to.
    Plus(Vec<u8>),
}

pub(super) fn start(attempt: Attempt<'_>) -> GateStep {
    let binding = match (attempt.rules.binding, &attempt.leg.end_point) {
        (BindingRule::Offered, Some(hash)) if attempt.leg.encrypted => {
            Binding::Offered(hash.clone())
        }
        (BindingRule::Required, Some(hash)) if attempt.leg.encrypted => {
            Binding::Required(hash.clone())
        }
        (BindingRule::Required, _) => {
            let message = "connection requires SCRAM channel binding";
            let reason = Reason::BindingUnavailable;
            return GateStep::Refused(Refusal::specification(message, reason));
        }
        (BindingRule::Disabled | BindingRule::Offered, _) => Binding::Absent,
    };
    let offer = AuthRequest::Sasl(match binding {
        Binding::Absent => vec![SCRAM_SHA_256],
        Binding::Offered(_) => vec![SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
        Binding::Required(_) => vec![SCRAM_SHA_256_PLUS],
    });
    let next = AwaitMechanism {
        nonce: attempt.chance.nonce,
        held: Held::new(attempt),
        binding,
    };
    GateStep::Send(offer, State::ScramMechanism(next).into())
}

impl Held {
    fn new(attempt: Attempt<'_>) -> Self {
        let doomed = |reason| {
            let source = match attempt.rules.doomed {
                Doomed::ScramDerived => Source::Password(attempt.mock.password().clone()),
                Doomed::Scram | Doomed::Md5 => Source::Verifier(ScramVerifier {
                    salt: Vec::new(),
                    iterations: attempt.rules.iterations,
                    stored_key: Secret::new(&[0; 32]),
                    server_key: Secret::new(&[0; 32]),
                }),
            };
            (source, Standing::Doomed(reason))
        };
        let (source, standing) = match attempt.stored {
            Stored::Known(Verifier::Scram(verifier)) => {
                (Source::Verifier(verifier), Standing::Sound)
            }
            Stored::Known(Verifier::Password(password)) => {
                (Source::Password(password), Standing::Sound)
            }
            Stored::Known(Verifier::Md5(_)) | Stored::AskServer => doomed(Reason::UnusableVerifier),
            Stored::Unknown => doomed(Reason::UnknownUser),
            Stored::Unusable(fault) => doomed(Reason::AuthQuery(fault)),
        };
        let (salt, iterations) = match (&source, standing) {
            (Source::Verifier(verifier), Standing::Sound) => {
                (verifier.salt.clone(), verifier.iterations)
            }
            _ => (attempt.mock.salt(attempt.user), attempt.rules.iterations),
        };
        Self {
            user: attempt.user.to_owned(),
            salt,
            iterations,
            source,
            standing,
        }
    }
}

/// Awaits SASLInitialResponse.
pub(crate) struct AwaitMechanism {
    held: Held,
    binding: Binding,
    nonce: [u8; 18],
}

impl AwaitMechanism {
    pub(super) fn on_message(self, body: &[u8]) -> GateStep {
        let (name, data) = match parse_initial(body) {
            Ok(parsed) => parsed,
            Err(refusal) => return GateStep::Refused(refusal),
        };
        let mechanism = match (name, self.binding) {
            (b"SCRAM-SHA-256-PLUS", Binding::Offered(hash) | Binding::Required(hash)) => {
                Mechanism::Plus(hash)
            }
            (b"SCRAM-SHA-256", Binding::Absent) => Mechanism::Plain {
                plus_offered: false,
            },
            (b"SCRAM-SHA-256", Binding::Offered(_)) => Mechanism::Plain { plus_offered: true },
            _ => {
                let message = "client selected an invalid SASL authentication mechanism";
                let reason = Reason::MechanismNotOffered;
                return GateStep::Refused(Refusal::protocol(message, reason));
            }
        };
        let next = AwaitFirst {
            held: self.held,
            mechanism,
            nonce: self.nonce,
        };
        match data {
            Some(data) => next.on_message(data),
            // As PostgreSQL: an empty challenge asks for the message that was left out.
            None => GateStep::Send(
                AuthRequest::SaslContinue(Vec::new()),
                State::ScramFirst(next).into(),
            ),
        }
    }
}

/// String mechanism, Int32 length or -1, data (PostgreSQL manual, SASLInitialResponse).
fn parse_initial(body: &[u8]) -> Result<(&[u8], Option<&[u8]>), Refusal> {
    check_len(body)?;
    let malformed = || Refusal::malformed(Malformed::SaslInitialResponse);
    let end = body.iter().position(|&byte| byte == 0);
    let (name, rest) = body.split_at(end.ok_or_else(malformed)?);
    let (len, data) = rest[1..].split_first_chunk().ok_or_else(malformed)?;
    match (i32::from_be_bytes(*len), data) {
        (-1, []) => Ok((name, None)),
        (len, data) if usize::try_from(len) == Ok(data.len()) => Ok((name, Some(data))),
        _ => Err(malformed()),
    }
}

fn check_len(body: &[u8]) -> Result<(), Refusal> {
    if body.len() > MESSAGE_LEN_MAX {
        return Err(Refusal::oversize(body.len(), MESSAGE_LEN_MAX));
    }
    Ok(())
}

/// Awaits client-first-message.
pub(crate) struct AwaitFirst {
    held: Held,
    mechanism: Mechanism,
    nonce: [u8; 18],
}

impl AwaitFirst {
    pub(super) fn on_message(self, body: &[u8]) -> GateStep {
        match self.accept(body) {
            Ok((server_first, next)) => GateStep::Send(
                AuthRequest::SaslContinue(server_first.into_bytes()),
                Gate::from(State::ScramFinal(next)),
            ),
            Err(refusal) => GateStep::Refused(refusal),
        }
    }

    fn accept(self, body: &[u8]) -> Result<(String, AwaitFinal), Refusal> {
        check_len(body)?;
        let first = ClientFirst::parse(body).map_err(refuse_first)?;
        check_flag(first.flag, &self.mechanism)?;
        let nonce = format!("{}{}", first.nonce, encode(&self.nonce));
        let server_first = format!(
            "r={nonce},s={},i={}",
            encode(&self.held.salt),
            self.held.iterations
        );
        let mut binding = first.header.as_bytes().to_vec();
        let by = match &self.mechanism {
            Mechanism::Plain { .. } => ProvedBy::ScramSha256,
            Mechanism::Plus(hash) => {
                binding.extend_from_slice(hash);
                ProvedBy::ScramSha256Plus
            }
        };
        let next = AwaitFinal {
            held: self.held,
            by,
            binding: encode(&binding),
            nonce,
            client_first_bare: first.bare.to_owned(),
            server_first: server_first.clone(),
        };
        Ok((server_first, next))
    }
}

fn refuse_first(fault: FirstFault) -> Refusal {
    let unsupported =
        |message: &str, reason| Refusal::new(RefusalKind::Unsupported, message.to_owned(), reason);
    match fault {
        FirstFault::Malformed(what) => Refusal::malformed(what),
        FirstFault::AuthorizationIdentity => unsupported(
            "client uses authorization identity, but it is not supported",
            Reason::AuthorizationIdentity,
        ),
        FirstFault::Extension => unsupported(
            "client requires an unsupported SCRAM extension",
            Reason::ScramExtension,
        ),
    }
}

/// RFC 5802 section 6, as PostgreSQL words it.
fn check_flag(flag: BindingFlag<'_>, mechanism: &Mechanism) -> Result<(), Refusal> {
    match (flag, mechanism) {
        (BindingFlag::Bound(TLS_SERVER_END_POINT), Mechanism::Plus(_)) => Ok(()),
        (BindingFlag::Bound(_), Mechanism::Plus(_)) => {
            Err(Refusal::malformed(Malformed::BindingType))
        }
        (BindingFlag::NotOffered, Mechanism::Plain { plus_offered: true }) => {
            Err(Refusal::specification(
                "SCRAM channel binding negotiation error",
                Reason::BindingDowngrade,
            ))
        }
        (BindingFlag::No | BindingFlag::NotOffered, Mechanism::Plain { .. }) => Ok(()),
        (BindingFlag::No | BindingFlag::NotOffered, Mechanism::Plus(_))
        | (BindingFlag::Bound(_), Mechanism::Plain { .. }) => {
            Err(Refusal::malformed(Malformed::BindingFlag))
        }
    }
}

/// Awaits client-final-message.
pub(crate) struct AwaitFinal {
    held: Held,
    by: ProvedBy,
    /// What `c=` has to be.
    binding: String,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl AwaitFinal {
    pub(super) fn on_message(self, body: &[u8]) -> GateStep {
        let last = match self.parse(body) {
            Ok(last) => last,
            Err(refusal) => return GateStep::Refused(refusal),
        };
        let verdict = Verdict {
            message: AuthMessage::new(
                &self.client_first_bare,
                &self.server_first,
                last.without_proof,
            ),
            proof: last.proof,
            user: self.held.user,
            standing: self.held.standing,
            by: self.by,
        };
        match self.held.source {
            Source::Verifier(verifier) => {
                verdict.give(&verifier, self.held.salt, self.held.iterations)
            }
            Source::Password(password) => {
                let question = Derivation {
                    password,
                    salt: self.held.salt,
                    iterations: self.held.iterations,
                };
                GateStep::Derive(question, State::ScramKeys(AwaitKeys(verdict)).into())
            }
        }
    }

    fn parse<'a>(&self, body: &'a [u8]) -> Result<ClientFinal<'a>, Refusal> {
        check_len(body)?;
        let last = ClientFinal::parse(body).map_err(Refusal::malformed)?;
        if last.binding != self.binding {
            return Err(match self.by {
                ProvedBy::ScramSha256Plus => Refusal::specification(
                    "SCRAM channel binding check failed",
                    Reason::BindingMismatch,
                ),
                _ => Refusal::malformed(Malformed::BindingEcho),
            });
        }
        if last.nonce != self.nonce {
            let message = "invalid SCRAM response";
            return Err(Refusal::protocol(message, Reason::NonceMismatch));
        }
        Ok(last)
    }
}

/// Awaits the keys of a password that is stored as such.
pub(crate) struct AwaitKeys(Verdict);

impl AwaitKeys {
    pub(super) fn on_keys(self, keys: &ScramKeys) -> GateStep {
        let verifier = ScramVerifier::from_keys(keys);
        self.0.give(&verifier, keys.salt.clone(), keys.iterations)
    }
}

/// Everything but the keys.
struct Verdict {
    user: String,
    standing: Standing,
    by: ProvedBy,
    message: AuthMessage,
    proof: Key,
}

impl Verdict {
    fn give(self, verifier: &ScramVerifier, salt: Vec<u8>, iterations: u32) -> GateStep {
        let (client_key, signature, is_right) = match self.compute(verifier) {
            Ok(computed) => computed,
            Err(fault) => return GateStep::Refused(Refusal::crypto(fault)),
        };
        let reason = match (self.standing, is_right) {
            (Standing::Sound, true) => {
                return GateStep::Proved(Proved {
                    user: ProvedUser::new(self.user),
                    by: self.by,
                    last: Some(AuthRequest::SaslFinal(
                        format!("v={signature}").into_bytes(),
                    )),
                    proof: Proof::ScramKeys(ScramKeys {
                        salt,
                        iterations,
                        client_key,
                        server_key: verifier.server_key.clone(),
                    }),
                });
            }
            (Standing::Sound, false) => Reason::WrongPassword,
            (Standing::Doomed(reason), _) => reason,
        };
        GateStep::Refused(Refusal::password(&self.user, reason))
    }

    /// The client's key, our signature, and whether the proof is right.
    fn compute(&self, verifier: &ScramVerifier) -> Result<(Secret, String, bool), CryptoFault> {
        let client_key = recover_client_key(&self.message, &self.proof, &verifier.stored_key)?;
        let is_right = verifier.stored_key.same_as(&*sha256(client_key.expose()));
        let signature = self.message.server_signature(&verifier.server_key)?;
        Ok((client_key, encode(&*signature), is_right))
    }
}
