//! Owns the reading of certificates and keys: from files or text into OpenSSL's objects, with a
//! precise word for everything that can be wrong with them.

use super::{ContextFault, Identity, KeySource, Source, Warning, key_file_is_private};
use crate::fault::first_reason;
use buf::Secret;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// No certificate or key file is bigger; the system's bundle of authorities has a quarter of it. A
/// revocation list of a big authority has several.
const FILE_MAX: u64 = 16 << 20;
const TEXT: &str = "(given as text)";

/// All certificates of a source, in order; at least one.
pub(super) fn certificates(source: &Source) -> Result<Vec<X509>, ContextFault> {
    let of = name(source);
    let pem = bytes(source)?;
    let found = X509::stack_from_pem(&pem).map_err(|stack| ContextFault::BadCertificate {
        of: of.clone(),
        reason: first_reason(&stack),
    })?;
    if found.is_empty() {
        return Err(ContextFault::NoCertificate { of });
    }
    Ok(found)
}

/// The bytes of a source that is no secret.
pub(super) fn bytes(source: &Source) -> Result<Vec<u8>, ContextFault> {
    match source {
        Source::Pem(pem) => Ok(pem.clone()),
        Source::File(path) => contents(&mut open(path)?, path),
    }
}

/// The private key of an identity, and a warning if its passphrase is of no use.
pub(super) fn private_key(
    identity: &Identity,
) -> Result<(PKey<Private>, Option<Warning>), ContextFault> {
    let read;
    let pem = match &identity.private_key {
        KeySource::Pem(pem) => pem,
        KeySource::File(path) => {
            let mut file = open(path)?;
            let facts = file.metadata().map_err(|error| unreadable(path, &error))?;
            let mode = facts.mode() & 0o7777;
            if facts.is_file() && !key_file_is_private(mode, facts.uid()) {
                let of = path.display().to_string();
                return Err(ContextFault::KeyIsNotPrivate { of, mode });
            }
            read = Secret::from_vec(contents(&mut file, path)?);
            &read
        }
    };
    let of = key_name(&identity.private_key);
    let asked = Cell::new(false);
    let passphrase = identity.passphrase.as_ref();
    // Without a callback libcrypto would ask for the passphrase on the terminal.
    let key = PKey::private_key_from_pem_callback(pem.expose(), |room| {
        asked.set(true);
        let Some(passphrase) = passphrase.map(Secret::expose) else {
            return Ok(0);
        };
        // One that does not fit is longer than libcrypto takes, and so not the key's.
        let count = passphrase.len();
        let Some(room) = room.get_mut(..count) else {
            return Ok(0);
        };
        room.copy_from_slice(passphrase);
        Ok(count)
    });
    match key {
        Ok(key) => {
            let unused = passphrase.is_some() && !asked.get();
            Ok((key, unused.then_some(Warning::PassphraseUnused { of })))
        }
        Err(_) if asked.get() && passphrase.is_some() => Err(ContextFault::WrongPassphrase { of }),
        Err(_) if asked.get() => Err(ContextFault::EncryptedKey { of }),
        Err(stack) => Err(ContextFault::BadKey {
            of,
            reason: first_reason(&stack),
        }),
    }
}

fn open(path: &Path) -> Result<File, ContextFault> {
    File::open(path).map_err(|error| unreadable(path, &error))
}

/// Reads into one block of the final size, so that no outgrown copy of a key stays behind.
fn contents(file: &mut File, path: &Path) -> Result<Vec<u8>, ContextFault> {
    let size = file
        .metadata()
        .map_err(|error| unreadable(path, &error))?
        .len()
        .clamp(4096, FILE_MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(4096) + 32);
    file.take(FILE_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> ContextFault {
    ContextFault::Unreadable {
        of: path.display().to_string(),
        kind: error.kind(),
    }
}

/// How a source is called in messages.
pub(super) fn name(source: &Source) -> String {
    match source {
        Source::File(path) => path.display().to_string(),
        Source::Pem(_) => TEXT.to_owned(),
    }
}

/// How a key is called in messages.
pub(super) fn key_name(source: &KeySource) -> String {
    match source {
        KeySource::File(path) => path.display().to_string(),
        KeySource::Pem(_) => TEXT.to_owned(),
    }
}
