//! Owns the parse of what SCRAM servers send (RFC 5802 section 7).

use super::text::{attribute, decode, decode_key, is_nonce, utf8};
use super::{SALT_LEN_MAX, parse_iterations};
use crate::answer::AuthFault;
use crate::digest::Key;

/// server-first-message.
#[derive(Debug)]
pub(crate) struct ServerFirst<'a> {
    /// The whole message, as sent.
    pub text: &'a str,
    pub nonce: &'a str,
    pub salt: Vec<u8>,
    pub iterations: u32,
}

impl<'a> ServerFirst<'a> {
    /// `m=` extensions do not parse: they would have to come before the nonce.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, AuthFault> {
        let malformed = |_| AuthFault::Malformed;
        let text = utf8(body).map_err(malformed)?;
        let (nonce, rest) = attribute(text, 'r').map_err(malformed)?;
        let (salt, rest) = attribute(rest.unwrap_or_default(), 's').map_err(malformed)?;
        let (iterations, rest) = attribute(rest.unwrap_or_default(), 'i').map_err(malformed)?;
        if rest.is_some() || !is_nonce(nonce) {
            return Err(AuthFault::Malformed);
        }
        let salt = decode(salt).ok_or(AuthFault::Malformed)?;
        if salt.is_empty() || salt.len() > SALT_LEN_MAX {
            return Err(AuthFault::Salt);
        }
        Ok(Self {
            text,
            nonce,
            salt,
            iterations: parse_iterations(iterations).ok_or(AuthFault::Iterations)?,
        })
    }
}

/// The signature in a server-final-message.
pub(crate) fn parse_server_final(body: &[u8]) -> Result<Key, AuthFault> {
    let text = utf8(body).map_err(|_| AuthFault::Malformed)?;
    if text.starts_with("e=") {
        return Err(AuthFault::ServerError);
    }
    match attribute(text, 'v') {
        Ok((signature, None)) => decode_key(signature).ok_or(AuthFault::Malformed),
        _ => Err(AuthFault::Malformed),
    }
}
