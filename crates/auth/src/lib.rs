//! Authentication in both roles: what Portcullis asks of clients ([`Gate`]) and what it answers to
//! servers ([`Answer`]).
//!
//! Owns: the SCRAM-SHA-256(-PLUS), MD5 and cleartext exchanges, certificate, peer and trust
//! decisions, verifiers and the texts they come from ([`users`], [`auth_query`]). Takes and gives
//! *bodies* of `R` and `p` messages, without type byte and length. Never reads a clock, a random
//! generator, a file or a socket: nonces, salts and stored verifiers are arguments, and the one
//! expensive step, PBKDF2, is a question ([`Derivation`]) that the caller answers on a thread that
//! may block ([`scram::derive`]).
//!
//! Both machines are consumed by each step and give back their successor. Neither prints a
//! password, a key or a verifier, not even under `{:?}`.

pub mod answer;
pub mod auth_query;
mod certificate;
mod digest;
pub mod fuzzing;
pub mod gate;
pub mod hba;
mod identity;
mod leg;
mod pattern;
mod refusal;
mod request;
mod saslprep;
pub mod scram;
pub mod users;
mod verifier;

pub use answer::{
    Acceptance, Accepted, Answer, AnswerRules, AnswerStep, AuthFault, ChannelBinding,
    ClearPassword, Credential, Md5Use, RequireAuth, Response, ResponseKind, ServerLogin,
};
pub use certificate::{CertificateMap, CertificateName, CertificateRule, PeerMap};
pub use digest::CryptoFault;
pub use gate::{
    Attempt, BindingRule, Chance, Claim, Doomed, Gate, GateRules, GateStep, Method, MockSecret,
    Proof, Proved, ProvedBy, Trust,
};
pub use identity::{AuthQueryUser, ProvedUser, ServerUser};
pub use leg::{LegFacts, PeerNames, UnixPeer};
pub use pattern::{Pattern, Piece};
pub use refusal::{Malformed, Reason, Refusal, RefusalKind};
pub use request::AuthRequest;
pub use saslprep::saslprep;
pub use scram::{Derivation, ScramKeys, ScramVerifier};
pub use verifier::{Md5Hash, Stored, Verifier, VerifierFault};
