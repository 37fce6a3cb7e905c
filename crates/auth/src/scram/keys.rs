//! Owns SCRAM's keys: their derivation from a password, and what is computed with them.

use crate::digest::{CryptoFault, Key, hmac, pbkdf2, sha256};
use crate::saslprep::saslprep;
use crate::scram::text::encode;
use buf::Secret;
use zeroize::Zeroizing;

/// A question to the caller: run PBKDF2 over this, away from threads that must not block.
///
/// The password may be one that a peer has just sent, so an answer may be kept only under
/// [`Derivation::cache_key`], never under a user's name.
#[derive(Debug, Clone)]
pub struct Derivation {
    /// The password as it was given, before SASLprep.
    pub password: Secret,
    /// The salt, raw.
    pub salt: Vec<u8>,
    /// PBKDF2 iterations.
    pub iterations: u32,
}

impl Derivation {
    /// What an answer may be kept under: equal only for the same password, salt and iterations. It
    /// is as secret as the answer.
    pub fn cache_key(&self) -> Secret {
        let salt = sha256(&self.salt);
        let password = sha256(self.password.expose());
        let iterations = self.iterations.to_be_bytes();
        let parts = [salt.as_slice(), password.as_slice(), iterations.as_slice()];
        let joined = Secret::from_vec(parts.concat());
        Secret::new(sha256(joined.expose()).as_slice())
    }
}

/// Everything that one password, salt and iteration count give.
///
/// The client key is as good as the password for every server that holds the same verifier.
#[derive(Debug, Clone)]
pub struct ScramKeys {
    /// The salt, raw.
    pub salt: Vec<u8>,
    /// PBKDF2 iterations.
    pub iterations: u32,
    /// Proves the client.
    pub client_key: Secret,
    /// Proves the server.
    pub server_key: Secret,
}

/// Answers a [`Derivation`] (RFC 5802 section 3). Costs milliseconds of CPU.
pub fn derive(question: &Derivation) -> Result<ScramKeys, CryptoFault> {
    let prepared = saslprep(question.password.expose());
    let salted = pbkdf2(&prepared, &question.salt, question.iterations)?;
    Ok(ScramKeys {
        salt: question.salt.clone(),
        iterations: question.iterations,
        client_key: Secret::new(&*hmac(&*salted, b"Client Key")?),
        server_key: Secret::new(&*hmac(&*salted, b"Server Key")?),
    })
}

impl ScramKeys {
    /// What a server stores to check the client.
    pub(crate) fn stored_key(&self) -> Key {
        sha256(self.client_key.expose())
    }
}

/// RFC 5802's AuthMessage: the three texts that both proofs are computed over.
pub(crate) struct AuthMessage(Vec<u8>);

impl AuthMessage {
    pub(crate) fn new(
        client_first_bare: &str,
        server_first: &str,
        client_final_without_proof: &str,
    ) -> Self {
        Self(
            [client_first_bare, server_first, client_final_without_proof]
                .join(",")
                .into(),
        )
    }

    /// base64 of the proof that the client sends.
    pub(crate) fn client_proof(&self, keys: &ScramKeys) -> Result<Zeroizing<String>, CryptoFault> {
        let signature = hmac(&*keys.stored_key(), &self.0)?;
        let proof = xor(keys.client_key.expose(), &signature);
        Ok(Zeroizing::new(encode(&*proof)))
    }

    /// The signature that the server sends.
    pub(crate) fn server_signature(&self, server_key: &Secret) -> Result<Key, CryptoFault> {
        hmac(server_key.expose(), &self.0)
    }
}

/// The client key inside a proof. It is the right one only if its SHA-256 is the stored key.
pub(crate) fn recover_client_key(
    message: &AuthMessage,
    proof: &Key,
    stored_key: &Secret,
) -> Result<Secret, CryptoFault> {
    let signature = hmac(stored_key.expose(), &message.0)?;
    Ok(Secret::new(&*xor(proof.as_slice(), &signature)))
}

fn xor(left: &[u8], right: &Key) -> Key {
    let mut out = Zeroizing::new([0; 32]);
    for ((out, left), right) in out.iter_mut().zip(left).zip(right.iter()) {
        *out = left ^ right;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scram::ScramVerifier;
    use crate::scram::text::{decode, decode_key};

    #[test]
    fn computes_the_exchange_of_rfc_7677() {
        let keys = derive(&Derivation {
            password: Secret::new(b"pencil"),
            salt: decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(),
            iterations: 4096,
        })
        .unwrap();
        let message = AuthMessage::new(
            "n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        );
        let proof = message.client_proof(&keys).unwrap();
        assert_eq!(*proof, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let signature = message.server_signature(&keys.server_key).unwrap();
        assert_eq!(
            encode(&*signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        let verifier = ScramVerifier::from_keys(&keys);
        let proof = decode_key(&proof).unwrap();
        let recovered = recover_client_key(&message, &proof, &verifier.stored_key).unwrap();
        assert!(recovered.same_as(keys.client_key.expose()));
    }

    #[test]
    fn answers_are_kept_apart_by_all_that_they_depend_on() {
        let key = |password: &[u8], salt: &[u8], iterations| {
            let password = Secret::new(password);
            let salt = salt.to_vec();
            Derivation {
                password,
                salt,
                iterations,
            }
            .cache_key()
        };
        let one = key(b"ab", b"cd", 1);
        assert!(one.same_as(key(b"ab", b"cd", 1).expose()));
        for other in [
            key(b"ax", b"cd", 1),
            key(b"ab", b"cx", 1),
            key(b"ab", b"cd", 2),
            key(b"abc", b"d", 1),
            key(b"cd", b"ab", 1),
        ] {
            assert!(!one.same_as(other.expose()));
        }
    }

    #[test]
    fn prepares_the_password() {
        let question = |password: &str| Derivation {
            password: Secret::new(password.as_bytes()),
            salt: b"salt".to_vec(),
            iterations: 2,
        };
        let (roman, latin) = (derive(&question("\u{2168}")), derive(&question("IX")));
        let verifier = ScramVerifier::from_keys(&roman.unwrap());
        assert!(verifier.matches(&latin.unwrap()));
        assert!(!verifier.matches(&derive(&question("IY")).unwrap()));
    }
}
