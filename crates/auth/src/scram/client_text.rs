//! Owns the parse of what SCRAM clients send (RFC 5802 section 7).

use super::text::{are_extensions, attribute, decode_key, is_nonce, utf8};
use crate::digest::Key;
use crate::refusal::Malformed;

/// client-first-message.
#[derive(Debug)]
pub(crate) struct ClientFirst<'a> {
    pub flag: BindingFlag<'a>,
    /// gs2-header, as sent.
    pub header: &'a str,
    /// client-first-message-bare, as sent.
    pub bare: &'a str,
    pub nonce: &'a str,
}

/// gs2-cbind-flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindingFlag<'a> {
    /// `n`: the client does not bind.
    No,
    /// `y`: the client could, but believes that the server can't.
    NotOffered,
    /// `p=`: bound, with this type.
    Bound(&'a str),
}

/// Why a client-first-message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstFault {
    Malformed(Malformed),
    /// `a=`.
    AuthorizationIdentity,
    /// `m=`.
    Extension,
}

impl From<Malformed> for FirstFault {
    fn from(what: Malformed) -> Self {
        Self::Malformed(what)
    }
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, FirstFault> {
        let text = utf8(body)?;
        let (flag, rest) = text.split_once(',').ok_or(Malformed::Gs2Header)?;
        let flag = match flag {
            "n" => BindingFlag::No,
            "y" => BindingFlag::NotOffered,
            _ => BindingFlag::Bound(flag.strip_prefix("p=").ok_or(Malformed::Gs2Header)?),
        };
        if rest.starts_with('a') {
            return Err(FirstFault::AuthorizationIdentity);
        }
        let bare = rest.strip_prefix(',').ok_or(Malformed::Gs2Header)?;
        if bare.starts_with('m') {
            return Err(FirstFault::Extension);
        }
        let (_name, rest) = attribute(bare, 'n')?;
        let (nonce, rest) = attribute(rest.ok_or(Malformed::Attribute)?, 'r')?;
        if !is_nonce(nonce) {
            return Err(Malformed::Nonce.into());
        }
        if !rest.is_none_or(are_extensions) {
            return Err(Malformed::Attribute.into());
        }
        Ok(Self {
            flag,
            header: &text[..text.len() - bare.len()],
            bare,
            nonce,
        })
    }
}

/// client-final-message.
#[derive(Debug)]
pub(crate) struct ClientFinal<'a> {
    /// Everything before `,p=`, as sent.
    pub without_proof: &'a str,
    /// base64 of the gs2-header and the channel-binding data.
    pub binding: &'a str,
    pub nonce: &'a str,
    /// With the stored key it gives the client's key, so it is wiped like one.
    pub proof: Key,
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let text = utf8(body)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Malformed::Attribute)?;
        let (binding, rest) = attribute(without_proof, 'c')?;
        let (nonce, rest) = attribute(rest.ok_or(Malformed::Attribute)?, 'r')?;
        if proof.contains(',') {
            return Err(Malformed::Trailing);
        }
        if !rest.is_none_or(are_extensions) {
            return Err(Malformed::Attribute);
        }
        Ok(Self {
            without_proof,
            binding,
            nonce,
            proof: decode_key(proof).ok_or(Malformed::Proof)?,
        })
    }
}
