//! Owns the format: a header with the file's key wrapped for each recipient, its MAC, and chunks of 64 KiB.

use crate::CryptoFault;
use crate::key::{Identity, Recipient};
use crate::primitives::{TAG, decrypt, encrypt, hkdf, hmac, public, shared};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use zeroize::Zeroizing;

const VERSION: &str = "age-encryption.org/v1\n";
const WRAP: &[u8] = b"age-encryption.org/v1/X25519";
const CHUNK: usize = 64 * 1024;
const NONCE: usize = 16;
/// Bytes of a header that is read; ours have a few hundred.
const HEADER_MAX: usize = 64 * 1024;

/// The chance that one sealing takes. Never to be used twice.
pub struct Chance {
    /// The file's key.
    pub file_key: Zeroizing<[u8; 16]>,
    /// Tells payloads of one key apart.
    pub nonce: [u8; NONCE],
    /// The secret half of a key for each recipient, in their order.
    pub ephemerals: Vec<Zeroizing<[u8; 32]>>,
}

impl Chance {
    /// How many random bytes [`of`](Self::of) needs for so many recipients.
    pub fn len(recipients: usize) -> usize {
        16 + NONCE + 32 * recipients
    }

    /// From random bytes, which may be more than are needed; `None` if they are fewer.
    pub fn of(random: &[u8], recipients: usize) -> Option<Chance> {
        let (file_key, rest) = random.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let ephemerals = rest.chunks_exact(32).take(recipients);
        let ephemerals: Vec<_> = ephemerals
            .filter_map(|it| it.try_into().ok().map(Zeroizing::new))
            .collect();
        (ephemerals.len() == recipients).then_some(Chance {
            file_key: Zeroizing::new(*file_key),
            nonce: *nonce,
            ephemerals,
        })
    }
}

/// Why something can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenFault {
    /// Not in this format.
    #[error("it is not in the format of age")]
    Format,
    /// Sealed to others.
    #[error("it is sealed to another key than this identity's")]
    NotForMe,
    /// Changed since, or cut off.
    #[error("it was changed or cut off after it had been sealed")]
    Changed,
}

/// Seals bytes to all recipients: each of them opens it alone.
pub fn seal(
    recipients: &[Recipient],
    plain: &[u8],
    chance: &Chance,
) -> Result<Vec<u8>, CryptoFault> {
    let mut header = VERSION.to_owned();
    for (recipient, ephemeral) in recipients.iter().zip(&chance.ephemerals) {
        let share = public(ephemeral)?;
        let common = shared(ephemeral, &recipient.0)?;
        let wrapped = wrap(&chance.file_key, &common, &share, recipient)?;
        put_stanza(&mut header, &share, &wrapped);
    }
    finish(header, plain, chance)
}

/// A file's key for one recipient.
fn wrap(
    file_key: &[u8; 16],
    common: &[u8; 32],
    share: &[u8; 32],
    recipient: &Recipient,
) -> Result<Vec<u8>, CryptoFault> {
    let salt = [share.as_slice(), &recipient.0].concat();
    let key = hkdf(common, &salt, WRAP)?;
    let mut wrapped = Vec::with_capacity(16 + TAG);
    encrypt(&key, &[0; 12], file_key, &mut wrapped)?;
    Ok(wrapped)
}

fn put_stanza(header: &mut String, share: &[u8; 32], wrapped: &[u8]) {
    header.push_str("-> X25519 ");
    BASE64.encode_string(share, header);
    header.push('\n');
    BASE64.encode_string(wrapped, header);
    header.push('\n');
}

/// The header's end and the payload.
fn finish(mut header: String, plain: &[u8], chance: &Chance) -> Result<Vec<u8>, CryptoFault> {
    header.push_str("---");
    let mac = mac(&chance.file_key, header.as_bytes())?;
    header.push(' ');
    BASE64.encode_string(mac.as_slice(), &mut header);
    header.push('\n');
    let key = hkdf(chance.file_key.as_slice(), &chance.nonce, b"payload")?;
    let mut sealed = header.into_bytes();
    sealed.reserve(NONCE + plain.len() + (plain.len() / CHUNK + 1) * TAG);
    sealed.extend_from_slice(&chance.nonce);
    let mut rest = plain;
    for count in 0u64.. {
        let (chunk, behind) = rest.split_at(rest.len().min(CHUNK));
        rest = behind;
        encrypt(&key, &nonce(count, rest.is_empty()), chunk, &mut sealed)?;
        if rest.is_empty() {
            break;
        }
    }
    Ok(sealed)
}

fn mac(file_key: &[u8; 16], header: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoFault> {
    let key = hkdf(file_key, b"", b"header")?;
    Ok(hmac(key.as_slice(), &[header])?)
}

/// The nonce of a chunk: its number, and whether it is the last.
fn nonce(count: u64, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&count.to_be_bytes());
    nonce[11] = u8::from(is_last);
    nonce
}

/// Opens what was sealed to this identity.
pub fn open(sealed: &[u8], identity: &Identity) -> Result<Zeroizing<Vec<u8>>, OpenFault> {
    let header = Header::read(sealed)?;
    let file_key = header.file_key(identity)?;
    let wanted = mac(&file_key, header.maced).map_err(|_| OpenFault::Format)?;
    if !openssl::memcmp::eq(wanted.as_slice(), &header.mac) {
        return Err(OpenFault::Changed);
    }
    let (nonce, chunks) = header
        .payload
        .split_first_chunk::<NONCE>()
        .ok_or(OpenFault::Changed)?;
    let key = hkdf(file_key.as_slice(), nonce, b"payload").map_err(|_| OpenFault::Format)?;
    payload(&key, chunks)
}

fn payload(key: &[u8; 32], mut chunks: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenFault> {
    let mut plain = Zeroizing::new(Vec::with_capacity(chunks.len()));
    for count in 0u64.. {
        let (chunk, behind) = chunks.split_at(chunks.len().min(CHUNK + TAG));
        chunks = behind;
        let is_last = chunks.is_empty();
        let opened = decrypt(key, &nonce(count, is_last), chunk).ok_or(OpenFault::Changed)?;
        // Only all of it may be nothing.
        if opened.is_empty() && count > 0 {
            return Err(OpenFault::Changed);
        }
        plain.extend_from_slice(&opened);
        if is_last {
            break;
        }
    }
    Ok(plain)
}

/// What stands in front of the payload.
struct Header<'a> {
    /// Shares and wrapped keys of the stanzas for keys as ours.
    stanzas: Vec<([u8; 32], Vec<u8>)>,
    maced: &'a [u8],
    mac: [u8; 32],
    payload: &'a [u8],
}

impl Header<'_> {
    fn read(sealed: &[u8]) -> Result<Header<'_>, OpenFault> {
        let mut at = VERSION.len();
        if !sealed.starts_with(VERSION.as_bytes()) {
            return Err(OpenFault::Format);
        }
        let mut stanzas = Vec::new();
        let mut share = None;
        loop {
            let rest = sealed.get(at..).filter(|_| at < HEADER_MAX);
            let rest = rest.ok_or(OpenFault::Format)?;
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = &rest[..end.ok_or(OpenFault::Format)?];
            if let Some(mac) = line.strip_prefix(b"--- ") {
                return Ok(Header {
                    stanzas,
                    maced: &sealed[..at + 3],
                    mac: decoded(mac)
                        .and_then(|it| it.try_into().ok())
                        .ok_or(OpenFault::Format)?,
                    payload: &rest[line.len() + 1..],
                });
            }
            if let Some(argument) = line.strip_prefix(b"-> X25519 ") {
                share = decoded(argument).and_then(|it| it.try_into().ok());
            } else if line.starts_with(b"-> ") {
                share = None;
            } else if let Some(share) = share.take() {
                stanzas.push((share, decoded(line).ok_or(OpenFault::Format)?));
            }
            at += line.len() + 1;
        }
    }

    fn file_key(&self, identity: &Identity) -> Result<Zeroizing<[u8; 16]>, OpenFault> {
        let own = identity.recipient().map_err(|_| OpenFault::Format)?;
        for (share, wrapped) in &self.stanzas {
            let Ok(common) = shared(&identity.0, share) else {
                continue;
            };
            let salt = [share.as_slice(), &own.0].concat();
            let key = hkdf(common.as_slice(), &salt, WRAP).map_err(|_| OpenFault::Format)?;
            if let Some(opened) = decrypt(&key, &[0; 12], wrapped)
                && let Ok(key) = opened.as_slice().try_into()
            {
                return Ok(Zeroizing::new(key));
            }
        }
        Err(OpenFault::NotForMe)
    }
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key and a file of the public tool: `age-keygen`, `age -r RECIPIENT`.
    const KEY: &str = include_str!("../tests/golden/key.txt");
    const RECIPIENT: &str = include_str!("../tests/golden/recipient.txt");
    const SEALED: &[u8] = include_bytes!("../tests/golden/sealed.age");

    fn plain(len: usize) -> Vec<u8> {
        (0..len).map(|it| (it * 7 % 251) as u8).collect()
    }

    fn identity() -> Identity {
        Identity::read(KEY).unwrap()
    }

    fn chance(seed: u8, recipients: usize) -> Chance {
        let random: Vec<u8> = (0..Chance::len(recipients))
            .map(|it| seed.wrapping_add(it as u8))
            .collect();
        Chance::of(&random, recipients).unwrap()
    }

    #[test]
    fn keys_are_those_of_the_tool() {
        let identity = identity();
        assert_eq!(identity.recipient().unwrap().to_string(), RECIPIENT.trim());
        assert!(KEY.contains(identity.text().as_str()));
        assert_eq!(format!("{identity:?}"), "Identity(…)");
        let recipient: Recipient = RECIPIENT.trim().parse().unwrap();
        assert_eq!(recipient, identity.recipient().unwrap());
        for (text, fault) in [
            (identity.text().as_str(), BadKey::Secret),
            ("age1nonsense", BadKey::Recipient),
            ("", BadKey::Recipient),
        ] {
            assert_eq!(text.parse::<Recipient>(), Err(fault));
        }
        for text in ["", "# only\n", RECIPIENT] {
            assert_eq!(Identity::read(text).err(), Some(BadKey::Identity));
        }
    }

    use crate::key::BadKey;

    #[test]
    fn what_the_tool_sealed_is_opened() {
        assert_eq!(*open(SEALED, &identity()).unwrap(), plain(100_000));
        let other = Identity::of([9; 32]);
        assert_eq!(open(SEALED, &other).err(), Some(OpenFault::NotForMe));
    }

    /// With the tool's own chance, every byte is the tool's: taken out of its file by the key that opens it.
    #[test]
    fn what_is_sealed_is_what_the_tool_writes() {
        let (identity, header) = (identity(), Header::read(SEALED).unwrap());
        let (share, _) = header.stanzas[0];
        let common = shared(&identity.0, &share).unwrap();
        let chance = Chance {
            file_key: header.file_key(&identity).unwrap(),
            nonce: header.payload[..NONCE].try_into().unwrap(),
            ephemerals: Vec::new(),
        };
        let recipient = identity.recipient().unwrap();
        let wrapped = wrap(&chance.file_key, &common, &share, &recipient).unwrap();
        let mut ours = VERSION.to_owned();
        put_stanza(&mut ours, &share, &wrapped);
        assert!(finish(ours, &plain(100_000), &chance).unwrap() == SEALED);
    }

    #[test]
    fn each_recipient_opens_it_alone_whatever_its_length() {
        let people = [Identity::of([1; 32]), Identity::of([2; 32])];
        let recipients: Vec<_> = people.iter().map(|it| it.recipient().unwrap()).collect();
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
            let sealed = seal(&recipients, &plain(len), &chance(len as u8, 2)).unwrap();
            for one in &people {
                assert_eq!(*open(&sealed, one).unwrap(), plain(len), "{len}");
            }
            assert_eq!(open(&sealed, &identity()).err(), Some(OpenFault::NotForMe));
        }
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let one = Identity::of([1; 32]);
        let to = [one.recipient().unwrap()];
        let sealed = seal(&to, &plain(300), &chance(3, 1)).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed, &one).is_err(), "byte {at} changed");
            assert!(open(&sealed[..at], &one).is_err(), "cut at {at}");
        }
        let long = seal(&to, &plain(2 * CHUNK), &chance(4, 1)).unwrap();
        // A whole chunk less.
        assert_eq!(
            open(&long[..long.len() - CHUNK - TAG], &one).err(),
            Some(OpenFault::Changed)
        );
    }

    #[test]
    fn chance_has_to_suffice() {
        assert!(Chance::of(&[0; 63], 1).is_none());
        assert!(Chance::of(&[0; 64], 1).is_some());
    }
}
