//! Owns the client's side of SCRAM-SHA-256(-PLUS).

use super::types::{Acceptance, Answer, AnswerStep, AuthFault, Response, ResponseKind, State};
use crate::digest::Key;
use crate::request::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use crate::scram::text::encode;
use crate::scram::{AuthMessage, Derivation, ScramKeys, ServerFirst, parse_server_final};
use buf::Secret;

/// Which gs2 header is sent (RFC 5802 section 6).
pub(super) enum Binding {
    /// `n`: we do not bind.
    No,
    /// `y`: we would have, but it was not offered. A server that did offer it will refuse.
    NotOffered,
    /// `p`: bound to this hash.
    Bound(Vec<u8>),
}

/// Where the keys come from.
pub(super) enum Source {
    Password(Secret),
    Keys(ScramKeys),
}

/// Sends SASLInitialResponse. The user name stays empty: the server uses the startup packet's.
pub(super) fn start(binding: Binding, source: Source, nonce: &[u8; 18]) -> AnswerStep {
    let (mechanism, header, hash, how) = match binding {
        Binding::No => (SCRAM_SHA_256, "n,,", Vec::new(), Acceptance::ScramSha256),
        Binding::NotOffered => (SCRAM_SHA_256, "y,,", Vec::new(), Acceptance::ScramSha256),
        Binding::Bound(hash) => (
            SCRAM_SHA_256_PLUS,
            "p=tls-server-end-point,,",
            hash,
            Acceptance::ScramSha256Plus,
        ),
    };
    let nonce = encode(nonce);
    let bare = format!("n=,r={nonce}");
    let data = format!("{header}{bare}");
    let mut body = [mechanism.as_bytes(), &[0]].concat();
    body.extend_from_slice(&(data.len() as u32).to_be_bytes());
    body.extend_from_slice(data.as_bytes());
    let next = AwaitFirst {
        source,
        how,
        binding: encode(&[header.as_bytes(), &hash].concat()),
        nonce,
        bare,
    };
    send(
        ResponseKind::SaslInitialResponse,
        body,
        State::ScramFirst(next),
    )
}

fn send(kind: ResponseKind, body: Vec<u8>, next: State) -> AnswerStep {
    let body = Secret::from_vec(body);
    AnswerStep::Send(Response { kind, body }, Answer(next))
}

/// Awaits server-first-message.
pub(in crate::answer) struct AwaitFirst {
    source: Source,
    how: Acceptance,
    binding: String,
    nonce: String,
    bare: String,
}

impl AwaitFirst {
    pub(super) fn on_data(self, data: &[u8]) -> Result<AnswerStep, AuthFault> {
        let first = ServerFirst::parse(data)?;
        if !first.nonce.starts_with(&self.nonce) || first.nonce.len() == self.nonce.len() {
            return Err(AuthFault::Nonce);
        }
        let without_proof = format!("c={},r={}", self.binding, first.nonce);
        let next = AwaitKeys {
            message: AuthMessage::new(&self.bare, first.text, &without_proof),
            without_proof,
            how: self.how,
            salt: first.salt,
            iterations: first.iterations,
        };
        match self.source {
            Source::Keys(keys) => next.on_keys(&keys),
            Source::Password(password) => {
                let question = Derivation {
                    password,
                    salt: next.salt.clone(),
                    iterations: next.iterations,
                };
                Ok(AnswerStep::Derive(question, Answer(State::ScramKeys(next))))
            }
        }
    }
}

/// Awaits keys for the server's salt and iterations.
pub(in crate::answer) struct AwaitKeys {
    message: AuthMessage,
    without_proof: String,
    how: Acceptance,
    salt: Vec<u8>,
    iterations: u32,
}

impl AwaitKeys {
    pub(super) fn on_keys(self, keys: &ScramKeys) -> Result<AnswerStep, AuthFault> {
        if keys.salt != self.salt || keys.iterations != self.iterations {
            return Err(AuthFault::VerifierDiffers);
        }
        let proof = self.message.client_proof(keys)?;
        let body = format!("{},p={}", self.without_proof, proof.as_str());
        let next = AwaitFinal {
            signature: self.message.server_signature(&keys.server_key)?,
            how: self.how,
        };
        Ok(send(
            ResponseKind::SaslResponse,
            body.into_bytes(),
            State::ScramFinal(next),
        ))
    }
}

/// Awaits server-final-message.
pub(in crate::answer) struct AwaitFinal {
    signature: Key,
    how: Acceptance,
}

impl AwaitFinal {
    pub(super) fn on_data(self, data: &[u8]) -> Result<AnswerStep, AuthFault> {
        let signature = parse_server_final(data)?;
        if !openssl::memcmp::eq(signature.as_slice(), self.signature.as_slice()) {
            return Err(AuthFault::ServerSignature);
        }
        Ok(AnswerStep::Expect(Answer(State::Ok(self.how))))
    }
}
